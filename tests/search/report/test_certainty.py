"""Which trials are as good as the best, worked out by hand."""

from search.report.certainty import alike, alike_text
from search.report.ranking import RankedTrial


def place(rank: int | None, number: int, ap: float, error: float | None, *, rung: int = 3, training_s: float = 9.0):
    return RankedTrial(
        rank=rank, number=number, ap=ap, ap_error=error, training_s=training_s, rung=rung, images=9, state="complete",
        outcome=None, cause="", words="", feasible=True, parameters={},
    )  # fmt: skip


BEST = place(1, 4, 0.30, 0.02)


def test_two_standard_errors_of_the_difference_tell_trials_apart():
    near, far = place(2, 9, 0.26, 0.02), place(3, 13, 0.24, 0.02)  # 2 · 0.0283 = 0.057
    assert alike([BEST, near, far]) == (near,)


def test_trials_that_went_less_far_and_those_without_an_error_are_no_rivals():
    assert alike([BEST, place(2, 9, 0.30, 0.02, rung=2), place(3, 5, 0.30, None), place(None, 6, 0.3, 0.02)]) == ()
    assert alike([]) == ()


def test_the_text_names_them_and_the_cheapest():
    near = (place(2, 9, 0.29, 0.02), place(3, 13, 0.28, 0.02, training_s=2.0))
    assert alike_text(BEST, near) == "not distinguishable from trials 9 and 13; the cheapest of all is trial 13"
    assert alike_text(BEST, near[:1]) == "not distinguishable from trial 9; the cheapest of all is trial 4"
    assert alike_text(BEST, ()) == alike_text(None, ()) == ""


def test_an_ap_is_shown_with_its_error_where_it_is_known():
    assert BEST.ap_text == "0.300 ± 0.020"
    assert place(1, 4, 0.3, None).ap_text == "0.300"
