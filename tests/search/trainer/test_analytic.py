from dataclasses import replace

import pytest

from detector.config import Anchors, Augmentation, Hyperparameters, Optimizer
from search.trainer.analytic import AnalyticRunner, Faults, curve, effective_rate, explosion_step
from search.trainer.protocol import Start
from trial.outcome import Outcome
from trial.reports import PausedReport, RungReport
from trial.verdict import Verdict

GOOD = Hyperparameters()  # 0.02 × 0.1 / (1 − 0.9) = 0.02, the best rate


@pytest.fixture
def start(tmp_path) -> Start:
    return Start(trial=0, hyperparameters=GOOD, seed=1, budget_images=1600, directory=tmp_path)


def advance(runner: AnalyticRunner, to_images: int, *, pause_after: int | None = None):
    figures = []
    polls = iter(range(10**6))
    event = runner.advance(to_images, figures.append, lambda: pause_after is not None and next(polls) >= pause_after)
    return event, figures


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0.02),
        ({"momentum": 0.95}, 0.04),  # × 0.1 / 0.05
        ({"rpn_lr_factor": 3.0}, 0.06),
        ({"rpn_lr_factor": 0.3}, 0.02),  # the rest still runs at the full rate
        ({"optimizer": Optimizer.ADAM, "lr_per_16": 1e-4}, 0.02),
    ],
)
def test_the_rate_that_a_step_feels(changes, expected):
    assert effective_rate(replace(GOOD, **changes)) == pytest.approx(expected)


def test_ap_falls_off_on_every_side_of_the_best_values():
    best = replace(
        GOOD, anchors=Anchors(sizes_px=tuple((24.0 * 2**n,) for n in range(5))), augmentation=Augmentation(scale=0.3)
    )
    top = curve(best, 1600, 1600)
    assert top == pytest.approx(0.6 * 0.9)
    for worse in (
        replace(best, lr_per_16=0.01),
        replace(best, lr_per_16=0.04),
        replace(best, anchors=Anchors()),
        replace(best, augmentation=Augmentation()),
    ):
        assert curve(worse, 1600, 1600) < top
    assert 0 == curve(best, 0, 1600) < curve(best, 160, 1600) < curve(best, 800, 1600) < top


@pytest.mark.parametrize(
    ("rate", "step"),
    [(0.099, None), (0.2, 10), (2.0, 2), (0.101, 20)],  # ceil(20 × 0.1 / rate), at least 2
)
def test_losses_explode_above_the_stable_rate_the_sooner_the_higher(rate, step):
    assert explosion_step(replace(GOOD, lr_per_16=rate)) == step


def test_a_trial_explodes_at_its_step_with_the_loss_to_show(start):
    runner = AnalyticRunner({})
    runner.start(replace(start, hyperparameters=replace(GOOD, lr_per_16=0.2)))
    event, figures = advance(runner, 1600)
    assert isinstance(event, Verdict)
    assert (event.outcome, event.cause) == (Outcome.DIVERGED, "loss_rpn_class")
    assert (event.step, event.images) == (10, 160)
    assert figures[-1].figures["loss"] == float("inf")


def test_a_tiny_rate_does_not_learn(start):
    runner = AnalyticRunner({})
    runner.start(replace(start, hyperparameters=replace(GOOD, lr_per_16=1e-6)))
    event, _ = advance(runner, 1600)
    assert isinstance(event, Verdict)
    assert (event.outcome, event.step) == (Outcome.NOT_LEARNING, 20)


def test_an_interrupted_trial_ends_like_an_uninterrupted_one(start, tmp_path):
    whole, parts = AnalyticRunner({}), AnalyticRunner({})
    whole.start(replace(start, directory=tmp_path / "whole"))
    parts.start(start)
    paused, _ = advance(parts, 1600, pause_after=5)
    assert paused == PausedReport(images=80)
    again = AnalyticRunner({})
    assert again.start(start).images == 80
    rungs = [advance(runner, 1600)[0] for runner in (whole, again)]
    assert all(isinstance(rung, RungReport) for rung in rungs)
    assert rungs[0].ap == rungs[1].ap
    assert rungs[0].images == rungs[1].images == 1600


def test_a_checkpoint_of_other_hyperparameters_is_not_taken(start):
    runner = AnalyticRunner({})
    runner.start(start)
    advance(runner, 160)
    assert runner.start(start).images == 160
    assert runner.start(replace(start, seed=2)).images == 0
    assert runner.start(replace(start, hyperparameters=replace(GOOD, lr_per_16=0.01))).images == 0


def test_a_fault_strikes_its_trial_as_often_as_asked(start):
    faults = Faults.parse("0:error:2,4:kill")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="on purpose"):
            faults.strike(start, say=lambda: None)
    faults.strike(start, say=lambda: None)
    faults.strike(replace(start, trial=9), say=lambda: None)


def test_a_trial_must_be_started_before_it_advances():
    with pytest.raises(RuntimeError, match="started"):
        advance(AnalyticRunner({}), 10)
