"""A trainer that lives but makes no step: how long it is given, and what counts as progress."""

import threading
from dataclasses import replace

import pytest

from detector.config import Hyperparameters
from search.exit_codes import ExitCode
from search.trainer.exits import TrainerHung, classify
from search.trainer.protocol import Preparing, Start, Started
from search.trainer.run import TrialRun
from search.trainer.watchdog import LONGEST_LOOK_S, Speed, Timeouts, Watchdog
from search.worker.loop import Pace, Worker
from storage.outcomes import read_outcome
from storage.study import create_study
from tests.support.studies import load_optuna_study, varied
from trial.outcome import Outcome
from trial.reports import ProgressReport, RungReport
from trial.verdict import HUNG

TIMEOUTS = Timeouts(first_step_s=1000.0, evaluation_s=500.0, step_floor_s=20.0, step_factor=4.0)
BATCH = 16


class Clock:
    """Goes only when told, in steps in which the watchdog looks."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Watched:
    """A watchdog on a trainer that does as this test says."""

    def __init__(self, speed: Speed | None = None, *, batch_size: int = BATCH) -> None:
        self.clock, self.step, self.batch_size = Clock(), 0, batch_size
        self.dog = Watchdog(speed or Speed(), TIMEOUTS, batch_size=batch_size, clock=self.clock)
        self.dog.heard(Started(images=0))
        self.dog.advancing(to_images=100_000)

    def pass_time(self, seconds: float) -> None:
        while seconds > 0:
            self.clock.now_s += min(seconds, 1.0)
            self.dog.look()
            seconds -= 1.0

    def steps(self, count: int, *, step_s: float) -> None:
        """So many reports, one each ten steps."""
        for _ in range(count):
            self.pass_time(10 * step_s)
            self.step += 10
            self.say()

    def say(self) -> None:
        self.dog.heard(ProgressReport(step=self.step, images=self.step * self.batch_size, figures={}, images_per_s=1.0))

    def bites_after(self) -> float:
        """Seconds of silence until it does, to the second."""
        begun_s = self.clock.now_s
        while not self.dog.bites:
            self.clock.now_s += 1.0
        return self.clock.now_s - begun_s


def test_the_first_step_of_a_trainer_may_compile_for_long():
    assert Watched().bites_after() == 1001


@pytest.mark.parametrize(
    ("step_s", "limit_s"),
    [
        pytest.param(0.1, 20, id="4 × 10 steps of 0.1 s are 4 s; the floor is 20 s"),
        pytest.param(1.0, 40, id="4 × 10 steps of 1 s"),
        pytest.param(6.0, 240, id="4 × 10 steps of 6 s"),
    ],
)
def test_afterwards_it_is_given_a_multiple_of_its_own_pace(step_s, limit_s):
    watched = Watched()
    watched.steps(5, step_s=step_s)
    assert watched.dog.limit_s == pytest.approx(limit_s)
    assert watched.bites_after() == pytest.approx(limit_s + 1, abs=1)


def test_one_slow_interval_changes_little_and_the_compilation_nothing():
    watched = Watched()
    watched.steps(1, step_s=60)  # compiled
    watched.steps(4, step_s=1)
    watched.steps(1, step_s=3)
    assert watched.dog.limit_s == pytest.approx(40)


def test_the_pace_is_the_trainers_and_counts_images_so_that_it_holds_for_its_next_trial():
    speed = Speed()
    Watched(speed).steps(5, step_s=1)  # 16 images a second
    assert Watched(speed, batch_size=32).dog.limit_s == pytest.approx(80)  # 4 × 10 steps of 32 images
    assert Watched(speed, batch_size=4).dog.limit_s == pytest.approx(20)


def test_saying_the_same_again_is_no_progress():
    watched = Watched()
    watched.steps(3, step_s=0.1)
    for _ in range(19):
        watched.pass_time(1)
        watched.say()
        watched.dog.heard(Preparing(stage="evaluation", done=1, total=9))
    assert not watched.dog.bites
    watched.pass_time(2)
    assert watched.dog.bites


def test_an_evaluation_lasts_as_long_as_it_comes_further():
    watched = Watched()
    watched.dog.advancing(to_images=320)
    watched.steps(2, step_s=0.1)  # 2 × 10 × 16 = 320 images
    assert watched.dog.limit_s == 500
    for done in range(10):
        watched.pass_time(499)
        assert not watched.dog.bites
        watched.dog.heard(Preparing(stage="evaluation", done=done, total=10))
    watched.dog.heard(Preparing(stage="evaluation", done=9, total=10))  # nothing new
    assert watched.bites_after() == 501
    watched.dog.heard(RungReport(step=20, images=320, ap=0.5, metrics={}, training_s=1.0, evaluation_s=1.0))
    watched.dog.advancing(to_images=640)
    assert watched.dog.limit_s == 20


def test_a_worker_that_was_asleep_itself_blames_nobody():
    watched = Watched()
    watched.steps(3, step_s=0.1)
    watched.clock.now_s += 3600
    assert not watched.dog.bites
    assert watched.dog.silent_s == LONGEST_LOOK_S


class Talker:
    """A link to a trainer that trains until step 5 and then lives on with a chatty heartbeat, but makes no step."""

    alive = True

    def __init__(self) -> None:
        self.speed = Speed()
        self._said = [Started(images=0), *(self._progress(step) for step in range(1, 6))]

    def _progress(self, step: int) -> ProgressReport:
        return ProgressReport(step=step, images=16 * step, figures={}, images_per_s=1.0)

    def send(self, command) -> None: ...

    def poll(self, wait_s: float):
        threading.Event().wait(0.01)
        return self._said.pop(0) if self._said else self._progress(5)

    def hung(self, silent_s: float, limit_s: float) -> TrainerHung:
        return TrainerHung(silent_s, limit_s=limit_s)


class Figures:
    """A recorder that only counts."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def reported(self) -> dict[int, float]:
        return {}

    def progress(self, progress: ProgressReport) -> None:
        self.steps.append(progress.step)

    def rung(self, rung: RungReport, budget_images: int) -> None:
        raise AssertionError("it never comes so far")

    def outcome_at(self, rung: int) -> None: ...


def test_a_trainer_that_stops_in_step_5_with_a_live_heartbeat_is_told_as_hung(tmp_path):
    recorder = Figures()
    timeouts = replace(TIMEOUTS, step_floor_s=0.5, step_factor=1.0)
    run = TrialRun(Talker(), recorder, threading.Event(), check=lambda: None, timeouts=timeouts)
    start = Start(trial=0, hyperparameters=Hyperparameters(), seed=0, budget_images=1440, directory=tmp_path)
    with pytest.raises(TrainerHung) as hung:
        run.run(start, (1440,))
    assert hung.value.idle_s >= 0.5
    assert run.position.step == 5
    assert recorder.steps[:5] == [1, 2, 3, 4, 5]
    assert len(recorder.steps) > 10  # it did talk on
    verdict = classify(hung.value, run.position)
    assert (verdict.outcome, verdict.cause, verdict.evidence["limit_s"]) == (Outcome.CRASHED, HUNG, 0.5)


@pytest.mark.parametrize("fault", ["hang", "stall"])
def test_a_trial_whose_trainer_hangs_is_tried_once_more_and_no_third_time(database, plan, monkeypatch, fault):
    monkeypatch.setenv("FRCNN_ANALYTIC_FAULTS", f"1:{fault}")
    pace = Pace(timeouts=replace(TIMEOUTS, first_step_s=1.0, step_floor_s=1.0))
    study = create_study(database, plan.study)
    worker = Worker(study, varied(plan, trials=3), stop=threading.Event(), pace=pace)
    assert worker.run() == ExitCode.DONE
    trials = load_optuna_study(database, plan.study).trials
    record = read_outcome(study, 1)
    assert record is not None
    assert (record.outcome, record.cause) == (Outcome.CRASHED, HUNG)
    assert (trials[1].user_attrs["crashes"], trials[1].user_attrs["hangs"]) == (2, 2)
    assert (plan.trial_directory(1) / "faults").exists() is False  # tidied: the trial is over
    assert [trial.state.is_finished() for trial in trials] == [True] * 3
