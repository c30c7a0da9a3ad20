"""What a launch tells, and from when on it asks for news: a study may have ten thousand outcomes."""

import io
from datetime import UTC, datetime, timedelta

from optuna.trial import TrialState
from rich.console import Console

from search.launch.progress import LATE, Progress, Snapshot, read_snapshot
from storage.records import OutcomeRecord
from storage.study import find_study
from tests.search.conftest import STUDY
from trial.outcome import Outcome

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def outcome(trial: int, minute: int, *, kind: str = "outranked") -> OutcomeRecord:
    at = NOON + timedelta(minutes=minute)
    return OutcomeRecord(trial=trial, outcome=Outcome(kind), cause="", message="", step=1, images=16, recorded_at=at)


def snapshot(*outcomes: OutcomeRecord) -> Snapshot:
    return Snapshot(finished=len(outcomes), trials=9, best=None, activities=(), outcomes=outcomes)


def told(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return [line.split()[2] for line in console.file.getvalue().splitlines()]


def test_each_outcome_is_told_once_and_what_was_there_before_the_launch_is_not():
    console = Console(file=io.StringIO(), width=200)
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


def test_a_snapshot_counts_what_is_stored_and_shows_the_newest_of_each_running_trial(database, study):
    shot = read_snapshot(find_study(database, STUDY), trials=40)
    assert shot.finished == sum(trial.state.is_finished() for trial in study.trials) == 5
    assert sum(trial.state is TrialState.WAITING for trial in study.trials) == 1
    assert shot.trials == 40
    assert shot.best == (3, 0.42)
    [activity] = shot.activities
    assert (activity.worker.trial, activity.rungs, activity.latest) == (5, 1, None)
    assert [record.trial for record in shot.outcomes] == [0, 1, 2, 3, 4]
    assert (
        read_snapshot(find_study(database, STUDY), trials=40, since=datetime.now(UTC) + timedelta(hours=1)).outcomes
        == ()
    )
    assert read_snapshot(find_study(database, STUDY), trials=3).trials == 6  # more were begun than are asked for now
