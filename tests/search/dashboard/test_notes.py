"""What a refresh of the dashboard's notes costs, and what they tell of the study."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import optuna
import pytest
from optuna_dashboard import get_note
from sqlalchemy import event

from search.dashboard import server
from search.dashboard.notes import Notes, trial_note
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical
from storage.connection.database import Database
from storage.connection.errors import StorageError
from storage.outcomes import record_outcome
from storage.records import OutcomeRecord
from storage.study import StoredStudy, find_study
from storage.study_view import StudyView
from storage.telemetry import append_telemetry
from tests.support.studies import create_optuna_study
from trial.outcome import Outcome
from trial.reports import TelemetryPoint
from trial.verdict import Verdict

MOST_STATEMENTS = 10
POINTS = [TelemetryPoint(step=s, images=16 * s, figures={"learning_rate": 0.01}) for s in range(1, 4)]


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that are executed in the block."""
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def statements_of(database: Database, publish: Callable[[], int], *, written: int) -> int:
    with counted(database) as statements:
        assert publish() == written
    return len(statements)


def diverge(stored: StoredStudy, made: optuna.Study, trials: int) -> None:
    """So many more trials that diverged, with telemetry."""
    view = StudyView(stored)
    for _ in range(trials):
        number = made.ask().number
        append_telemetry(stored, number, POINTS)
        record_outcome(stored, number, Verdict(outcome=Outcome.DIVERGED, cause="loss", step=3, images=48))
        view.end(number, Outcome.DIVERGED)


def test_a_refresh_that_writes_nothing_takes_the_same_few_statements_for_any_number_of_trials(
    database: Database,
) -> None:
    made = create_optuna_study(database, "cells")
    stored = find_study(database, "cells")
    notes = Notes(stored, None)
    again, anew = [], []
    for more, trials in ((5, 5), (35, 40)):
        diverge(stored, made, more)
        assert notes.publish() == more + (trials == 5)  # and the legend, the first time
        again.append(statements_of(database, notes.publish, written=0))
        anew.append(statements_of(database, Notes(stored, None).publish, written=0))
    assert max(*again, *anew) <= MOST_STATEMENTS, (again, anew)
    assert again[0] == again[1]
    assert anew[0] == anew[1]


@pytest.mark.parametrize("outcome", [None, Outcome.COMPLETE])
def test_a_study_in_which_nothing_failed_yet_is_refreshed_as_cheaply(
    database: Database, outcome: Outcome | None
) -> None:
    made = create_optuna_study(database, "cells")
    stored = find_study(database, "cells")
    if outcome is not None:
        trial = made.ask()
        trial.report(0.5, step=160)
        record_outcome(stored, trial.number, Verdict(outcome=outcome))
        StudyView(stored).end(trial.number, outcome)
    notes = Notes(stored, None)
    assert notes.publish() == 1
    assert statements_of(database, notes.publish, written=0) <= MOST_STATEMENTS


def test_the_legend_tells_where_the_space_excludes_a_default(database: Database) -> None:
    made = create_optuna_study(database, "cells")
    space = Space.default().replaced({"batch_size": Categorical(values=(4, 8))})
    Notes(find_study(database, "cells"), space).publish()
    assert "Trial 0 is the reference, Detectron2's defaults, but batch_size 8 for 16." in get_note(made)


def test_a_note_shows_what_it_is_told_as_it_stands_and_fetches_nothing() -> None:
    told = "![x](http://a/b) <img src=y> $z$ | [/] **b** \x1b[31m"
    record = OutcomeRecord(
        trial=0, outcome=Outcome.CRASHED, cause=told, message=told, evidence={told: told}, recorded_at=datetime.now(UTC)
    )
    note = trial_note(record, None)
    shown = r"\!\[x\](http\://a/b) \<img src=y\> \$z\$ \| \[/\] \*\*b\*\* \\x1b\[31m"
    assert note.splitlines()[0] == f"**crashed: {shown}** at step 0, after 0 images."
    assert note.splitlines()[2] == shown
    assert note.splitlines()[6] == f"| {shown} | {shown} |"


def test_the_thread_that_refreshes_them_outlives_a_study_that_is_deleted(monkeypatch, caplog):
    monkeypatch.setattr(server, "REFRESH_S", 0.01)
    asked = threading.Semaphore(0)

    class OfADeletedStudy:
        def publish(self) -> int:
            asked.release()
            raise StorageError("the study was deleted")

    with server._kept_fresh(OfADeletedStudy()):  # type: ignore[arg-type]
        for _ in range(3):
            assert asked.acquire(timeout=10)
    assert "the study was deleted" in caplog.text
