"""The table of outcomes against one worked out by hand from docs/decisions/0003 and README's table."""

import pytest

from trial.outcome import Outcome, refusals

#: outcome → (state of Optuna, healthy, fault, refused, final, infeasible, blameless)
TABLE = {
    "complete": ("COMPLETE", True, False, False, True, False, False),
    "outranked": ("PRUNED", True, False, False, True, False, False),
    "diverged": ("PRUNED", False, True, False, True, True, False),
    "not learning": ("PRUNED", False, True, False, True, True, False),
    "out of memory": ("PRUNED", False, True, False, True, True, False),
    "hopeless": ("PRUNED", False, False, True, True, True, False),
    "risky": ("PRUNED", False, False, True, True, True, False),
    "invalid": ("FAIL", False, False, True, True, False, False),
    "bad data": ("FAIL", False, True, False, True, False, True),
    "crashed": ("FAIL", False, True, False, True, False, True),
    "ended elsewhere": ("", False, True, False, True, False, True),
    "interrupted": ("RUNNING", False, False, False, False, False, False),
    "paused": ("RUNNING", False, False, False, False, False, False),
}


def test_the_table_names_every_outcome_by_the_word_that_is_stored() -> None:
    assert [outcome.value for outcome in Outcome] == list(TABLE)


@pytest.mark.parametrize("word", TABLE)
def test_what_an_outcome_means_is_worked_out_by_hand(word: str) -> None:
    outcome = Outcome(word)
    assert TABLE[word] == (
        outcome.state,
        outcome.healthy,
        outcome.fault,
        outcome.refused,
        outcome.final,
        outcome.infeasible,
        outcome.blameless,
    )


def test_a_pruned_trial_that_is_not_healthy_is_infeasible_and_no_other_is() -> None:
    for outcome in Outcome:
        assert outcome.infeasible == (outcome.state == "PRUNED" and not outcome.healthy)


def test_an_outcome_is_its_word_to_sql_json_and_a_reader() -> None:
    assert (Outcome.NOT_LEARNING, str(Outcome.NOT_LEARNING), f"{Outcome.NOT_LEARNING}") == ("not learning",) * 3
    assert Outcome.NOT_LEARNING.name == "NOT_LEARNING"


def test_the_word_of_older_studies_still_reads_as_outranked() -> None:
    assert Outcome("slow") is Outcome.OUTRANKED
    assert "slow" not in {outcome.value for outcome in Outcome}


@pytest.mark.parametrize("word", ["", "Slow", "OUTRANKED", "slow ", "fail"])
def test_any_other_word_is_none(word: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Outcome"):
        Outcome(word)


def test_each_says_what_it_means_and_each_refused_one_why() -> None:
    assert all(outcome.meaning for outcome in Outcome)
    assert len({outcome.meaning for outcome in Outcome}) == len(TABLE)
    assert [bool(outcome.reason) for outcome in Outcome] == [outcome.refused for outcome in Outcome]


def test_refusals_are_counted_by_reason_in_the_order_of_the_table() -> None:
    counts = {Outcome.RISKY: 2, Outcome.COMPLETE: 9, Outcome.HOPELESS: 3, Outcome.INVALID: 0}
    assert refusals(counts) == (
        "3 hopeless (their anchors miss the boxes), 2 risky (trials at such learning rates diverged)"
    )
    assert refusals({Outcome.COMPLETE: 9, Outcome.DIVERGED: 1}) == ""
