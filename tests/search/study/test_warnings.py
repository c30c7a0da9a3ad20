"""Warnings of the watch: they end nothing, and are found in the telemetry and with the outcome of the trial."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from detector.config import Hyperparameters
from search.trainer.link import TrainerLink
from search.trainer.protocol import Advance, Command, Event, Start, Started
from search.trainer.run import TrialRun
from search.trainer.watchdog import Speed
from search.training.record import TrainingRecord
from trial.outcome import Outcome
from trial.reports import ProgressReport, RungReport, Warned
from trial.verdict import Verdict

SPIKE = Warned(rule="gradient spike", step=12, message="the gradient norm jumped to 70")
IDLE = Warned(rule="idle part", step=30, message="the rpn weights did not move")
START = Start(
    trial=0, hyperparameters=Hyperparameters(), seed=0, budget_images=320, directory=Path("nowhere"), keep_weights=False
)


def progress(step: int, *warnings: Warned) -> ProgressReport:
    return ProgressReport(step=step, images=16 * step, figures={"loss": 1.0}, images_per_s=1.0, warnings=warnings)


class Link:
    """A trainer that warns twice on its way, and ends as it is told."""

    idle_s = 0.0
    speed = Speed()

    def __init__(self, last: Event) -> None:
        self._last = last
        self._events: Iterator[Event] = iter(())

    def send(self, command: Command) -> None:
        if isinstance(command, Start):
            self._events = iter([Started(images=0)])
        if isinstance(command, Advance):
            self._events = iter([progress(9), progress(19, SPIKE), progress(39, SPIKE, IDLE), self._last])

    def poll(self, wait_s: float) -> Event:
        return next(self._events)


ENDED = Verdict(outcome=Outcome.DIVERGED, cause="gradient", evidence={"rule": "not finite"})
TRAINED = RungReport(step=20, images=320, ap=0.5, metrics={}, training_s=1.0, evaluation_s=1.0)


@pytest.mark.parametrize("last", [TRAINED, ENDED], ids=["trained to its end", "ended by the watch"])
def test_the_outcome_tells_every_warning_once(last: Event, tmp_path: Path) -> None:
    shown: list[str] = []
    record = TrainingRecord(tmp_path, show=shown.append)
    run = TrialRun(cast(TrainerLink, Link(last)), record, threading.Event(), check=lambda: None)
    verdict = run.run(START, (320,))
    assert verdict.evidence["warnings"] == (
        "gradient spike at step 12: the gradient norm jumped to 70\nidle part at step 30: the rpn weights did not move"
    )
    assert len(verdict.evidence) == 2  # beside AP, or the rule that ended it
    assert [line for line in shown if line.startswith("warning")] == [
        "warning: gradient spike at step 12: the gradient norm jumped to 70",
        "warning: idle part at step 30: the rpn weights did not move",
    ]


def test_the_telemetry_has_the_step_of_every_warning_so_far() -> None:
    assert progress(9).point.figures == {"loss": 1.0}
    assert progress(39, SPIKE, IDLE).point.figures == {
        "loss": 1.0,
        "warning: gradient spike": 12,
        "warning: idle part": 30,
    }
