import pytest

from detector.watch.health import COMPONENTS, FIGURES, LOSSES
from search.explanation.cause import ENDED_BY
from trial.cause_words import BY_RULE, cause_words
from trial.outcome import Outcome
from trial.verdict import Verdict


@pytest.mark.parametrize(
    ("cause", "rule", "words"),
    [
        ("max_objectness", "saturated logits", "the RPN's scores exploded"),
        ("max_class_logit", "saturated logits", "the class scores exploded"),
        ("max_objectness", "", "the RPN's scores exploded"),
        ("loss_roi_class", "exploding", "the classification loss exploded"),
        ("loss_roi_class", "not finite", "the classification loss became infinite or no number"),
        ("loss_roi_class", "", "the classification loss exploded"),
        ("rpn", "update too large", "the weights of the RPN changed too fast"),
        ("rpn", "rpn stuck", "the RPN found no more objects than at first"),
        ("killed (SIGKILL)", "", "killed (SIGKILL)"),
        ("", "", ""),
        ("anything", "a rule of another version", "anything"),
    ],
)
def test_a_cause_is_told_in_words_that_need_no_figure(cause: str, rule: str, words: str) -> None:
    assert cause_words(cause, rule) == words


def test_every_rule_has_its_words() -> None:
    outcomes = {str(outcome) for outcome in Outcome}
    assert set(BY_RULE) <= set(ENDED_BY)
    assert set(ENDED_BY) - set(BY_RULE) <= outcomes


@pytest.mark.parametrize("rule", BY_RULE)
def test_no_words_hold_the_name_of_a_figure(rule: str) -> None:
    for cause in (*LOSSES, *COMPONENTS, "gradient", "max_objectness", "clamped_deltas", "unheard_of"):
        words = cause_words(cause, rule)
        assert not [name for name in (*FIGURES, "unheard_of") if "_" in name and name in words]


def test_a_verdict_says_what_went_wrong_and_keeps_the_figure_as_evidence() -> None:
    verdict = Verdict(
        outcome=Outcome.DIVERGED,
        cause="max_objectness",
        message="max_objectness is 61; beyond 50 a wrong answer is hardly unlearnt",
        evidence={"rule": "saturated logits"},
    )
    assert verdict.sentence == (
        "the RPN's scores exploded – max_objectness is 61; beyond 50 a wrong answer is hardly unlearnt"
    )


def test_a_verdict_without_words_says_what_was_seen() -> None:
    assert Verdict(outcome=Outcome.CRASHED, cause="killed (SIGKILL)", message="it died").sentence == "it died"
    assert Verdict(outcome=Outcome.CRASHED, cause="hung").sentence == "hung"
    assert Verdict(outcome=Outcome.INTERRUPTED).sentence == ""
