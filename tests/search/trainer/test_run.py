"""One trial's run against a trainer that says what the test wants, in an order that a real one reaches by chance."""

import threading

from detector.config import Hyperparameters
from search.trainer.protocol import Command, Event, Preparing, Start, Started
from search.trainer.run import TrialRun
from search.trainer.watchdog import Speed, Timeouts
from trial.outcome import Outcome
from trial.reports import PausedReport, ProgressReport, RungReport
from trial.verdict import Verdict

RUNGS = (160,)


class Scripted:
    """A trainer's link; somebody asks the run to stop just before it says something of that kind."""

    def __init__(self, events: list[Event | None], stop: threading.Event, stop_before: type[object]) -> None:
        self.sent: list[Command] = []
        self.speed = Speed()
        self._events = events
        self._stop = stop
        self._stop_before = stop_before

    def send(self, command: Command) -> None:
        self.sent.append(command)

    def poll(self, timeout_s: float) -> Event | None:
        if not self._events:
            return None
        event = self._events.pop(0)
        if self._events and isinstance(self._events[0], self._stop_before):
            self._stop.set()
        return event


class Recorder:
    def reported(self) -> dict[int, float]:
        return {}

    def progress(self, progress: object) -> None: ...

    def rung(self, rung: RungReport, budget_images: int) -> None: ...

    def outcome_at(self, rung: int) -> None: ...


def test_a_pause_that_came_too_late_is_heard_out_before_the_next_trial(tmp_path):
    stop = threading.Event()
    rung = RungReport(step=10, images=160, ap=0.3, metrics={}, training_s=1.0, evaluation_s=1.0)
    late = PausedReport(images=160)
    link = Scripted([Started(images=0), None, rung, None, late, Started(images=0)], stop, RungReport)
    run = TrialRun(link, Recorder(), stop, check=lambda: None, timeouts=Timeouts())  # type: ignore[arg-type]
    start = Start(trial=0, hyperparameters=Hyperparameters(), seed=0, budget_images=160, directory=tmp_path)
    assert run.run(start, RUNGS).outcome is Outcome.COMPLETE
    assert [type(command).__name__ for command in link.sent] == ["Start", "Advance", "Pause"]
    assert run.settled()
    assert isinstance(link.poll(0), Started)  # what the next trial hears first


def test_a_trainer_that_never_answers_a_late_pause_takes_no_other_trial(tmp_path):
    stop = threading.Event()
    rung = RungReport(step=10, images=160, ap=0.3, metrics={}, training_s=1.0, evaluation_s=1.0)
    link = Scripted([Started(images=0), None, rung], stop, RungReport)
    run = TrialRun(link, Recorder(), stop, check=lambda: None, timeouts=Timeouts(pause_s=0.2))  # type: ignore[arg-type]
    start = Start(trial=0, hyperparameters=Hyperparameters(), seed=0, budget_images=160, directory=tmp_path)
    assert run.run(start, RUNGS).outcome is Outcome.COMPLETE
    assert not run.settled()


def test_without_a_pause_nothing_is_waited_for(tmp_path):
    link = Scripted([], threading.Event(), RungReport)
    run = TrialRun(link, Recorder(), threading.Event(), check=lambda: None)  # type: ignore[arg-type]
    assert run.settled()


def test_what_a_trainer_is_busy_with_is_told_until_it_steps_or_is_done(tmp_path):
    def preparing(stage: str, done: int = 0) -> Preparing:
        return Preparing(stage=stage, done=done, total=2)

    step = ProgressReport(step=1, images=16, figures={}, images_per_s=1.0)
    rung = RungReport(step=10, images=160, ap=0.3, metrics={}, training_s=1.0, evaluation_s=1.0)
    events = [
        Started(images=0),
        preparing("compiling"),
        step,
        step,
        preparing("evaluating"),
        preparing("evaluating", 1),
    ]
    told: list[str] = []
    run = TrialRun(
        Scripted([*events, rung], threading.Event(), Verdict),  # type: ignore[arg-type]
        Recorder(),
        threading.Event(),
        check=lambda: None,
        told=lambda state: told.append(str(state)),
    )
    start = Start(trial=0, hyperparameters=Hyperparameters(), seed=0, budget_images=160, directory=tmp_path)
    assert run.run(start, RUNGS).outcome is Outcome.COMPLETE
    assert told == ["compiling, 0 of 2", "None", "evaluating, 0 of 2", "evaluating, 1 of 2", "None"]
