"""Replays of planted failures: the four answers with the analytic trainer, and the real one on an exploding rate."""

import threading
from pathlib import Path
from typing import Any

import pytest

from detector.config import ConfigError
from search.explanation.cause import diagnose
from search.explanation.confirmation import Answer, Confirmation, confirm
from search.explanation.neighbour import nearest_healthy
from search.explanation.repair_choice import repairs
from search.explanation.study_edit import NewStudy
from search.explanation.trial_explanation import TrialExplanation
from search.report.trial_history import TrialHistory
from tests.support.planting import Sown, diverged, healthy, imagine, planted_specification
from trial.outcome import Outcome

WIDE = {"optimizer": "sgd", "lr_per_16": {"low": 1e-6, "high": 10.0}}  # the analytic trainer explodes above 0.1


def explained(history: TrialHistory, number: int) -> TrialExplanation:
    """What `explain_trial` gives, without a database."""
    record = history.record(number)
    entry = diagnose(record, others_are_healthy=bool(history.healthy))
    neighbour = nearest_healthy(record, history)
    found = repairs(record, history, entry, neighbour) if entry else ()
    return TrialExplanation(
        study=history.study, record=record, budget_images=960, verdict="v", entry=entry, figures=(), evidence={},
        curve=(), repair=found[0] if found else None, alternatives=found[1:], neighbour=neighbour,
        new_study=NewStudy.after(history),
    )  # fmt: skip


@pytest.fixture
def replay(sample: Path, tmp_path: Path) -> Any:
    """Confirms the last of the trials; nothing may be left in the study's folder."""

    def replay(*trials: Sown, images: int | None = None, **sections: Any) -> Confirmation:
        specification = planted_specification("sqlite:///none.db", sample, **{"space": WIDE, **sections})
        history = imagine(specification, trials)
        folder = tmp_path / "study"
        folder.mkdir()
        return confirm(
            history, explained(history, len(trials) - 1), folder=folder, images=images, stop=threading.Event()
        )

    return replay


def test_a_lower_rate_mends_a_trial_that_exploded(replay: Any) -> None:
    confirmation = replay(healthy(0.02), diverged(1.0))  # at 1.0 it explodes at step 2, at 0.02 never
    assert confirmation.answer is Answer.HOLDS
    assert confirmation.as_it_was.verdict is not None
    assert confirmation.as_it_was.verdict.step == 2
    assert confirmation.with_repair.verdict is None
    assert confirmation.with_repair.images >= confirmation.to_images == 128 + 20 * 16  # beyond where it was ended
    assert confirmation.to_json()["answer"] == "holds"


def test_a_repair_to_a_rate_that_still_explodes_is_not_enough(replay: Any) -> None:
    # Whoever was healthy at 0.4 was lucky. The doctor's limit with weights, 0.08, is 0.16 at twice the usual momentum.
    weights = {"canvas": "96x128", "weights": "imagenet"}
    confirmation = replay(healthy(0.4), diverged(1.0, momentum=0.95), detector=weights)
    assert confirmation.answer is Answer.FAILS_AGAIN
    assert confirmation.with_repair.verdict is not None
    assert confirmation.with_repair.verdict.outcome is Outcome.DIVERGED


def test_a_trial_that_is_healthy_this_time_was_not_reproduced(replay: Any) -> None:
    confirmation = replay(healthy(0.005), diverged(0.02))
    assert confirmation.answer is Answer.NOT_REPRODUCED
    assert confirmation.with_repair is None


def test_a_trainer_that_dies_leaves_the_question_open(replay: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRCNN_ANALYTIC_FAULTS", "1:exit")
    # it strikes half-way through the budget of 960 images, well before the replay is to be stopped
    confirmation = replay(healthy(0.01), diverged(0.02), images=900)
    assert confirmation.answer is Answer.INCONCLUSIVE
    assert confirmation.as_it_was.verdict.outcome is Outcome.CRASHED


def test_a_replay_that_ends_before_the_fault_is_no_proof_of_health(replay: Any) -> None:
    late = Sown(outcome=Outcome.DIVERGED, values={"lr_per_16": 0.02}, images=900, step=50)
    confirmation = replay(healthy(0.01), late, images=100)
    assert confirmation.answer is Answer.INCONCLUSIVE
    assert "give --images more" in confirmation.sentence


def test_what_is_not_learning_is_replayed_too(replay: Any) -> None:
    dead = Sown(outcome=Outcome.NOT_LEARNING, values={"lr_per_16": 2e-6}, rule="not learning", images=320)
    assert replay(healthy(0.01), dead).answer is Answer.HOLDS


@pytest.mark.parametrize(
    ("sown", "message"),
    [
        pytest.param(healthy(0.01), "did not fail", id="healthy"),
        pytest.param(Sown(outcome=Outcome.OUT_OF_MEMORY), "no replay of its training shows", id="memory"),
        pytest.param(
            Sown(outcome=Outcome.NOT_LEARNING, rule="no positives"), "no parameter of it", id="needs the data's anchors"
        ),
    ],
)
def test_what_no_replay_can_show_is_refused(replay: Any, sown: Sown, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replay(healthy(0.02), sown)


def test_a_stop_ends_the_replay_at_once(sample: Path, tmp_path: Path) -> None:
    history = imagine(planted_specification("sqlite:///none.db", sample, space=WIDE), [healthy(0.02), diverged(1.0)])
    stop = threading.Event()
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        confirm(history, explained(history, 1), folder=tmp_path, images=None, stop=stop)


@pytest.mark.slow
def test_the_real_trainer_diverges_again_and_the_repair_holds(replay: Any) -> None:
    confirmation = replay(
        healthy(0.001, batch_size=4, clip_norm=5.0),
        diverged(5.0, batch_size=4, clip_norm=1e5),
        trainer="detector",
        detector={"canvas": "64x64", "roi_samples": 16, "proposals": 32},
        space={**WIDE, "batch_size": 4, "clip_norm": {"high": 1e6}, "anchor_scales": 1, "anchor_ratios": 1},
        budget={"trials": 2, "images": 480, "rungs": [160, 480]},
        images=96,
    )
    assert confirmation.answer is Answer.HOLDS, confirmation.sentence
    assert confirmation.repair.after == pytest.approx(0.001)
    assert confirmation.as_it_was.verdict is not None
    assert "rule" in confirmation.as_it_was.verdict.evidence
