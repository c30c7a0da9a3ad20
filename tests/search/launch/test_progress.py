"""What a launch tells, and from when on it asks for news: a study may have ten thousand outcomes."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from optuna.trial import TrialState

from search.launch.progress import LATE, Progress
from search.launch.snapshot import Activity, Snapshot, read_snapshot
from search.terminal import PlainConsole
from storage.records import BestTrial, OutcomeRecord, WorkerRecord
from storage.study import find_study
from tests.search.conftest import STUDY
from trial.outcome import Outcome
from trial.reports import TelemetryPoint

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUNGS = (320, 960)


def outcome(trial: int, minute: int, *, kind: str = "outranked", message: str = "") -> OutcomeRecord:
    at = NOON + timedelta(minutes=minute)
    return OutcomeRecord(
        trial=trial, outcome=Outcome(kind), cause="", message=message, step=1, images=16, recorded_at=at
    )


def snapshot(*outcomes: OutcomeRecord) -> Snapshot:
    finished = sum(not each.outcome.refused for each in outcomes)
    return Snapshot(finished=finished, trials=9, best=None, activities=(), outcomes=outcomes)


def told(console: PlainConsole) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return [line.split()[2] for line in console.file.getvalue().splitlines()]


def worker(name: str, *, trial: int | None = None, doing: str = "", images: int = 0) -> WorkerRecord:
    return WorkerRecord(
        worker=name, host="gpu-7", pid=1, device="cpu", started_at=NOON, seen_at=NOON, age_s=0.0, trial=trial,
        images=images, images_per_s=6.1 if images else 0.0, doing=doing,
    )  # fmt: skip


def test_each_outcome_is_told_once_and_what_was_there_before_the_launch_is_not():
    console = PlainConsole(file=io.StringIO(), width=200)
    progress = Progress(console, rungs=(160,))
    assert progress.since is None  # the first look is at everything
    progress.update(snapshot(outcome(0, 0), outcome(1, 5)))
    assert progress.since == NOON + timedelta(minutes=5) - LATE
    progress.update(snapshot(outcome(1, 5), outcome(2, 6, kind="interrupted")))
    progress.update(snapshot())  # nothing new
    assert progress.since == NOON + timedelta(minutes=6) - LATE
    progress.update(snapshot(outcome(2, 7, kind="complete")))
    progress.update(snapshot(outcome(2, 7, kind="complete"), outcome(0, 0)))
    assert told(console) == ["2", "2"]


def at_work() -> Snapshot:
    """A study in the middle: one that trains, one that is evaluated, one whose trainer gets ready."""
    training = worker("a", trial=3, images=144)
    point = TelemetryPoint(step=9, images=144, figures={"loss": 1.234, "loss_rpn_class": 0.5})
    return Snapshot(
        finished=0,
        trials=9,
        best=BestTrial(trial=1, rung_images=320, ap=0.1234),
        activities=(
            Activity(worker=training, rungs=0, latest=point),
            Activity(worker=worker("b", trial=12, doing="evaluating, 20 of 87"), rungs=1, latest=None),
            Activity(worker=worker("c", doing="trying micro-batches, 1 of 3"), rungs=0, latest=None),
        ),
        outcomes=(),
    )


LATER = [
    outcome(4, 1, kind="hopeless", message="its anchors miss 90% of the boxes"),
    outcome(5, 2, kind="risky", message="trials at such rates diverged"),
    outcome(6, 3, kind="diverged", message="the loss exploded"),
]


def shown_lines(width: int, *, terminal: bool) -> list[str]:
    """All lines that such a terminal was sent in 92 seconds of that study, without what steers it."""
    now = [0.0]
    console = PlainConsole(
        file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, legacy_windows=False
    )
    progress = Progress(console, rungs=RUNGS, clock=lambda: now[0])
    with progress.shown():
        progress.update(at_work())
        now[0] += 92
        progress.update(replace(at_work(), finished=1, outcomes=tuple(LATER)))
    text = console.file.getvalue()
    for code in ("\x1b[?25l", "\x1b[?25h", "\x1b[1A", "\x1b[2K", "\r"):
        text = text.replace(code, "")
    return text.splitlines()


FOOT = [
    "────────  1 of 9 trials, 6 to 25 min left  best AP 0.123 (trial 1 at 320)  1:32…",
    "2 proposals not trained: 1 hopeless (their anchors miss the boxes), 1 risky (tr…",
    "trial 3    1:32  rung 1 of 2 at 320: 144 images, 6.1 images/s, 0:28 left, loss …",
    "trial 12  evaluating, 20 of 87 (1:32)",
    "worker on gpu-7: trying micro-batches, 1 of 3 (1:32)",
]


def test_the_foot_of_a_terminal_of_80_columns():
    lines = shown_lines(80, terminal=True)
    assert [line for line in lines if line in FOOT] == FOOT
    assert max(len(line) for line in lines if not line.startswith(("[1/9]", "2 proposals"))) <= 80
    assert "[1/9] trial 6 diverged: the loss exploded (step 1, 16 images)" in lines


def test_the_foot_of_a_terminal_of_120_columns():
    lines = shown_lines(120, terminal=True)
    assert "────────  1 of 9 trials, 6 to 25 min left  best AP 0.123 (trial 1 at 320)  1:32 so far" in lines
    assert "trial 3    1:32  rung 1 of 2 at 320: 144 images, 6.1 images/s, 0:28 left, loss 1.23" in lines


def test_a_log_has_a_line_for_each_stage_that_begins_each_end_and_each_minute():
    refused = (
        "2 proposals not trained: 1 hopeless (their anchors miss the boxes), 1 risky (trials at such learning rates "
        "diverged); the last, trial 5: trials at such rates diverged"
    )
    assert shown_lines(80, terminal=False) == [
        "trial 12 evaluating",
        "worker on gpu-7: trying micro-batches",
        refused,
        "[1/9] trial 6 diverged: the loss exploded (step 1, 16 images)",
        "1 of 9 trials, 6 to 25 min left  best AP 0.123 (trial 1 at 320)  1:32 so far",
        "trial 3    1:32  rung 1 of 2 at 320: 144 images, 6.1 images/s, 0:28 left, loss 1.23",
        "trial 12  evaluating, 20 of 87 (1:32)",
        "worker on gpu-7: trying micro-batches, 1 of 3 (1:32)",
    ]


@pytest.mark.parametrize("workers", [1, 8, 100])
def test_the_foot_has_room_for_any_number_of_workers(workers):
    now = [0.0]
    console = PlainConsole(file=io.StringIO(), width=80)
    progress = Progress(console, rungs=RUNGS, clock=lambda: now[0])
    activities = tuple(
        Activity(worker=worker(str(n), trial=n, images=64), rungs=0, latest=None) for n in range(workers)
    )
    progress.update(replace(at_work(), activities=activities))
    now[0] += 61
    progress.update(replace(at_work(), activities=activities))
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 1 + min(workers, 8) + (workers > 8)
    assert ("and 92 more workers" in lines) == (workers == 100)


def test_a_snapshot_counts_what_is_stored_and_shows_the_newest_of_each_running_trial(database, study):
    shot = read_snapshot(find_study(database, STUDY), trials=40)
    assert shot.finished == sum(trial.state.is_finished() for trial in study.trials) == 5
    assert sum(trial.state is TrialState.WAITING for trial in study.trials) == 1
    assert shot.trials == 40
    assert (shot.best.trial, shot.best.ap) == (3, 0.42)
    [activity] = shot.activities
    assert (activity.worker.trial, activity.rungs, activity.latest) == (5, 1, None)
    assert [record.trial for record in shot.outcomes] == [0, 1, 2, 3, 4]
    assert (
        read_snapshot(find_study(database, STUDY), trials=40, since=datetime.now(UTC) + timedelta(hours=1)).outcomes
        == ()
    )
    assert read_snapshot(find_study(database, STUDY), trials=3).trials == 6  # more were begun than are asked for now
