"""Planted studies explained: the right cause first, the boundary where it was put, nothing where there is nothing."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from detector.data.dataset import load_dataset
from detector.network.weights import UntrainedNorms
from detector.training.replay import BAD_START, CORRUPT_SAMPLE
from detector.watch.finding import TrialContext
from detector.watch.thresholds import Thresholds
from detector.watch.watch import rules
from search.explanation.cause import ENDED_BY, Cause
from search.explanation.effects.anchor_effect import anchor_effect
from search.explanation.effects.importance import FEWEST_TRIALS, importances
from search.explanation.effects.rate_boundary import rate_boundaries
from search.explanation.explanation_text import explanation_json, print_explanation
from search.explanation.neighbour import nearest_healthy
from search.explanation.study_explanation import StudyExplanation, boundary_sentence, explain_study
from search.report.trial_history import TrialHistory
from tests.support.planting import Sown, diverged, healthy, imagine, planted_specification
from trial.outcome import Outcome

DEAD = Sown(outcome=Outcome.NOT_LEARNING, values={"lr_per_16": 1e-4}, rule="not learning", images=240)
MISSED = Sown(outcome=Outcome.NOT_LEARNING, values={"anchor_base": 16.0}, rule="no positives", images=400)
KILLED = Sown(outcome=Outcome.CRASHED, term="killed (SIGKILL)", images=16)


@pytest.fixture
def sow(sample: Path) -> Any:
    def sow(*trials: Sown, **sections: Any) -> TrialHistory:
        return imagine(planted_specification("sqlite:///none.db", sample, **sections), trials)

    return sow


def text_of(explanation: StudyExplanation) -> str:
    console = Console(width=100, file=io.StringIO())
    with console.capture() as captured:
        print_explanation(explanation, console)
    return captured.get()


@pytest.mark.parametrize(
    ("trials", "first"),
    [
        pytest.param([diverged(0.1), diverged(0.09), DEAD, healthy()], Cause.RATE_TOO_HIGH, id="2 against 1"),
        pytest.param([DEAD, DEAD, diverged(0.1), healthy()], Cause.RATE_TOO_LOW, id="dead"),
        pytest.param([MISSED, DEAD], Cause.ANCHORS, id="1 against 1: 400 images against 240"),
        pytest.param([KILLED, KILLED, diverged(0.1)], Cause.TRAINER, id="the machine, not the configuration"),
    ],
)
def test_the_cause_behind_most_trials_comes_first(sow: Any, trials: list[Sown], first: Cause) -> None:
    explanation = explain_study(sow(*trials), with_data=False)
    assert explanation.causes[0].cause is first
    assert str(first) in text_of(explanation)


def test_proposals_that_were_never_trained_explain_nothing(sow: Any) -> None:
    trained = [diverged(0.1), healthy(0.01), healthy(0.02), DEAD, *[healthy(0.015, ap=0.01 * n) for n in range(8)]]
    hopeless = Sown(outcome=Outcome.HOPELESS, values={"lr_per_16": 0.09, "anchor_base": 15.0}, images=0)
    risky = Sown(outcome=Outcome.RISKY, values={"lr_per_16": 0.08})
    without = explain_study(sow(*trained)).to_json()
    explanation = explain_study(sow(*trained, *[hopeless] * 9, *[risky] * 3))
    told = explanation.to_json()
    assert (without.pop("refused"), told.pop("refused")) == ({}, {"hopeless": 9, "risky": 3})
    assert told == without
    counts = "9 hopeless (their anchors miss the boxes), 3 risky (trials at such learning rates diverged)"
    assert f"beside them, proposals that were not trained: {counts}" in " ".join(text_of(explanation).split())


def test_a_space_that_mostly_is_not_worth_training_should_be_narrowed(sow: Any) -> None:
    hopeless = Sown(outcome=Outcome.HOPELESS, values={"anchor_base": 15.0})
    assert not any("doctor" in step for step in explain_study(sow(healthy(), hopeless)).next_steps)
    assert "doctor study.yaml --write-space" in explain_study(sow(healthy(), hopeless, hopeless)).next_steps[0]


def test_shares_are_of_failures_of_ended_trials_and_of_images(sow: Any) -> None:
    # 128 + 128 images diverged, 240 dead, 960 healthy: 1456 in all
    causes = explain_study(sow(diverged(0.1), diverged(0.09), DEAD, healthy()), with_data=False).causes
    assert [(cause.cause, cause.trials, cause.images) for cause in causes] == [
        (Cause.RATE_TOO_HIGH, (0, 1), 256),
        (Cause.RATE_TOO_LOW, (2,), 240),
    ]
    assert causes[0].share_of_failures == pytest.approx(2 / 3)
    assert causes[0].share_of_ended == pytest.approx(2 / 4)
    assert causes[0].share_of_images == pytest.approx(256 / 1456)
    assert causes[0].rules == {"exploding": 2}


def test_the_boundary_of_the_learning_rate_is_told_for_each_batch_size(sow: Any) -> None:
    trials = [
        healthy(0.02, batch_size=8), diverged(0.06, batch_size=8), diverged(0.09, batch_size=8),
        healthy(0.08, batch_size=16), diverged(0.04, batch_size=16),
    ]  # fmt: skip
    eight, sixteen = rate_boundaries(sow(*trials).records)
    assert (eight.batch_size, eight.healthy, eight.diverged) == (8, 1, 2)
    assert eight.largest_healthy is not None
    assert eight.smallest_diverged is not None
    assert eight.largest_healthy.rate == pytest.approx(0.02 * 8 / 16)
    assert eight.smallest_diverged.rate == pytest.approx(0.06 * 8 / 16)
    assert not eight.overlaps
    assert sixteen.overlaps  # 0.08 was healthy, 0.04 was not
    assert boundary_sentence(eight) == (
        "sgd at batch 8: diverged from a learning rate of 0.03 on (trial 1), healthy up to 0.01 (trial 0)"
    )
    assert boundary_sentence(sixteen).endswith("so other parameters decide in between")


def test_the_parameter_that_decides_is_the_most_important_one_and_the_others_are_idle(sow: Any) -> None:
    generator = np.random.default_rng(3)
    trials = []
    for rate in np.geomspace(1e-3, 0.1, 40).tolist():
        others = {"momentum": generator.uniform(0.8, 0.98), "augmentation": generator.uniform(0, 1)}
        ap = 0.4 - 0.1 * abs(np.log10(rate / 0.01))
        trials.append(diverged(rate, **others) if rate > 0.04 else healthy(rate, ap=float(ap), **others))
    explanation = explain_study(sow(*trials), with_data=False)
    assert next(iter(explanation.importances.to_be_best)) == "lr_per_16"
    assert next(iter(explanation.importances.not_to_fail)) == "lr_per_16"
    assert "lr_per_16" not in explanation.idle
    assert any(line.startswith("lr_per_16 above 0.04") for line in explanation.mattered)
    assert "  lr_per_16: {low: 0.0001, high: 0.04" in explanation.space_yaml
    assert any("narrowed ranges" in step for step in explanation.next_steps)


def test_few_trials_are_not_weighed(sow: Any) -> None:
    few = sow(*(healthy(rate) for rate in np.geomspace(1e-3, 0.05, FEWEST_TRIALS - 1).tolist()))
    assert importances(few).to_be_best == {}
    assert "these trials (9) do not weigh parameters" in text_of(explain_study(few, with_data=False))


@pytest.mark.parametrize(
    ("trials", "headline"),
    [
        pytest.param([], "planted: no trial has ended yet", id="empty"),
        pytest.param([Sown(outcome=None)], "planted: no trial has ended yet", id="one that runs"),
        pytest.param([healthy()], "planted: 0 of 1 trials failed", id="one that is healthy"),
        pytest.param([diverged(0.1)], "planted: 1 of 1 trials failed, with 100% of all images", id="one that failed"),
        pytest.param([healthy(), healthy(0.02)], "planted: 0 of 2 trials failed", id="no failures"),
    ],
)
def test_a_study_with_little_in_it_is_explained_too(sow: Any, trials: list[Sown], headline: str) -> None:
    explanation = explain_study(sow(*trials), with_data=False)
    text = text_of(explanation)
    assert text.startswith(headline)
    assert explanation.next_steps
    assert '"schema": 1' in explanation_json(explanation)
    assert bool(explanation.causes) is any(sown.outcome is Outcome.DIVERGED for sown in trials)


def test_a_study_that_never_learned_gets_no_ranking_of_its_parameters(sow: Any) -> None:
    explanation = explain_study(
        sow(*(healthy(rate, ap=0.003) for rate in np.geomspace(1e-3, 0.05, 12))), with_data=False
    )
    assert any("no trial has learned" in line for line in explanation.mattered)
    assert explanation.idle == ()
    assert any("more images" in step for step in explanation.next_steps)


def test_the_neighbour_is_near_in_what_shapes_an_update_not_in_anchors(sow: Any) -> None:
    history = sow(
        healthy(0.001, anchor_base=8.0),  # a hundredth of the rate, the same anchors
        healthy(0.05, anchor_base=2.0),  # half the rate, the smallest anchors
        diverged(0.1, anchor_base=8.0),
    )
    neighbour = nearest_healthy(history.record(2), history)
    assert neighbour is not None
    assert neighbour.trial == 1
    assert {each.parameter for each in neighbour.differences} == {"lr_per_16", "anchor_base"}


def test_the_fit_of_anchors_is_set_against_the_ap_of_the_first_rung(sow: Any, sample: Path) -> None:
    bases = (2.0, 3.0, 4.0, 6.0, 8.0, 16.0)
    history = sow(*(healthy(ap=0.5 - 0.02 * base, anchor_base=base) for base in bases), diverged(0.1, anchor_base=16.0))
    specification = history.specification
    train, _ = specification.data.sources()
    effect = anchor_effect(history, load_dataset(train), specification.detector.detector().canvas)
    assert [point.trial for point in effect.points] == list(range(7))
    assert effect.points[6].ap is None
    assert effect.points[0].covered > effect.points[5].covered  # the sample's objects are 11 to 55 px on this canvas
    assert effect.correlation is not None
    assert effect.correlation > 0.5  # smaller anchors cover more, and AP was planted to fall with the size


def test_data_that_is_gone_leaves_only_the_anchors_out(sample: Path, tmp_path: Path) -> None:
    specification = planted_specification("sqlite:///none.db", tmp_path / "moved")
    explanation = explain_study(imagine(specification, [healthy(), diverged(0.1)]))
    assert explanation.anchors is None
    assert "not at hand" in text_of(explanation)
    assert explanation.causes[0].cause is Cause.RATE_TOO_HIGH


#: What may end a trial without a rule of the watch; "not learning" is the name of a rule, too.
OUTCOMES_ALONE = {outcome.value for outcome in Outcome if outcome.fault} - {Outcome.NOT_LEARNING.value}


def test_the_documented_table_is_the_one_that_is_used() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "explain.md").read_text(encoding="utf-8")
    for name, entry in ENDED_BY.items():
        suffix = " (outcome)" if name in OUTCOMES_ALONE else ""
        assert f"| {name}{suffix} | {entry.cause} | {'; '.join(entry.remedies)} |" in page


def test_every_rule_of_the_watch_has_an_entry() -> None:
    named = {rule.name for rule in rules(TrialContext(budget_steps=100), Thresholds())}
    assert set(ENDED_BY) - OUTCOMES_ALONE == named | {CORRUPT_SAMPLE, BAD_START, UntrainedNorms.rule}
