"""Studies by name. A `StoredStudy` is looked up once; whatever else is stored of a study is asked through it."""

import difflib
import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.trial import FrozenTrial
from sqlalchemy import ColumnElement, Connection, Table, select

from storage.connection import tables, trials
from storage.connection.database import Database
from storage.connection.errors import StorageError, StorageUnavailable
from trial.outcome import Outcome

Direction = Literal["minimize", "maximize"]
DELETE_TRIES, DELETE_PAUSE_S = 20, 0.1


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """One study in one database. Whoever needs both takes this."""

    database: Database
    name: str
    id: int  # Optuna's

    def rows(self, table: Table, trial: int | None = None) -> ColumnElement[bool]:
        """What tells the study's rows of a table of ours, or those of one trial."""
        its = table.c.study_id == self.id
        return its if trial is None else its & (table.c.trial == trial)

    def require_trial(self, connection: Connection, trial: int) -> str:
        """Optuna's state of the trial, such as RUNNING.

        Raises:
            StorageError: the study has no trial of that number.
        """
        theirs = tables.optuna_trials
        state = connection.execute(
            select(tables.state_of(theirs)).where(theirs.c.study_id == self.id, theirs.c.number == trial)
        ).scalar_one_or_none()
        if state is None:
            raise StorageError(f"study {self.name!r} has no trial {trial}; ask Optuna for it first")
        return state


def create_study(database: Database, name: str, *, direction: Direction = "maximize") -> StoredStudy:
    """The study of that name, new or as it stands; any number of processes may create it at once.

    Raises:
        StorageError: the name is empty or too long, or the study that is there goes the other way.
    """
    if not name or len(name) > tables.NAME_LENGTH:
        raise StorageError(f"a study name has 1 to {tables.NAME_LENGTH} characters, but {name[:40]!r} has {len(name)}")
    with database.guarded():
        if name not in study_names(database):
            _drop_orphans(database)
        try:
            optuna.create_study(study_name=name, storage=database.optuna, direction=direction)
        except DuplicatedStudyError:
            study = optuna.load_study(study_name=name, storage=database.optuna)
            there = " and ".join(each.name.lower() for each in study.directions)
            if there != direction:
                raise StorageError(
                    f"study {name!r} is there and means to {there}, not to {direction}; choose another study name"
                ) from None
    return find_study(database, name)


def find_study(database: Database, name: str) -> StoredStudy:
    """The study of that name.

    Raises:
        StorageError: there is none; the message names the nearest and those that exist.
    """
    with database.reading() as connection:
        study_id = tables.study_id(connection, name)
    if study_id is None:
        raise _unknown(name, study_names(database), database.label)
    return StoredStudy(database, name, study_id)


def delete_study(database: Database, name: str) -> None:
    """Delete the study and all that it left, and return when it is gone.

    Raises:
        StorageError: there is no such study.
    """
    study = find_study(database, name)
    for _ in range(DELETE_TRIES):
        with database.guarded():
            database.optuna.delete_study(study.id)  # gives up without a word where somebody writes at that moment
        if name not in study_names(database):
            _drop_orphans(database)
            return
        time.sleep(DELETE_PAUSE_S)
    raise StorageUnavailable(f"study {name!r} in {database.label} can't be deleted: others write to it; try again")


def study_names(database: Database) -> list[str]:
    """Every study in the database, in alphabetical order."""
    with database.reading() as connection:
        return sorted(connection.execute(select(tables.optuna_studies.c.study_name)).scalars())


def read_trials(study: StoredStudy, *, newer_than: int = -1, also: Collection[int] = ()) -> list[FrozenTrial]:
    """The study's trials by number, as Optuna has them: those whose id is greater than that, and those of `also`.

    Raises:
        StorageError: the study was deleted, whatever other study has its id now, as happens on SQLite.
    """
    with study.database.reading() as connection:
        if tables.study_id(connection, study.name) != study.id:
            where = f"study {study.name!r} was deleted from database {study.database.label}"
            raise StorageError(f"{where}; stop its workers, or launch it again")
        return trials.read_trials(connection, study.id, newer_than=newer_than, also=also)


def trial_ids(study: StoredStudy) -> dict[int, int]:
    """Optuna's id of every trial of the study, by number."""
    theirs = tables.optuna_trials.c
    with study.database.reading() as connection:
        rows = connection.execute(select(theirs.number, theirs.trial_id).where(theirs.study_id == study.id)).all()
    return {row.number: row.trial_id for row in rows}


def best_complete(study: StoredStudy) -> tuple[int, float] | None:
    """The number and the value of the best trial that was trained in full, of equals the first; None while none was.

    What somebody else ended does not count, whatever value it was told.
    """
    theirs, values, outcomes = tables.optuna_trials, tables.optuna_values, tables.outcomes
    best = (
        select(theirs.c.number, values.c.value)
        .join(values, values.c.trial_id == theirs.c.trial_id)
        .join(outcomes, (outcomes.c.study_id == theirs.c.study_id) & (outcomes.c.trial == theirs.c.number))
        .where(theirs.c.study_id == study.id, outcomes.c.outcome == Outcome.COMPLETE.value)
        .order_by(values.c.value.desc(), theirs.c.number)
    )
    with study.database.reading() as connection:
        row = connection.execute(best.limit(1)).first()
    return None if row is None else (row.number, row.value)


def save_specification(study: StoredStudy, specification: dict[str, Any]) -> None:
    """Keep what the study was created from. The first writer wins: later calls change nothing."""
    with study.database.writing() as connection:
        statement = tables.insert(connection, tables.studies).values(
            study_id=study.id, specification=json.dumps(specification, allow_nan=False), created_at=tables.clock()
        )
        connection.execute(statement.on_conflict_do_nothing())


def replace_specification(study: StoredStudy, specification: dict[str, Any]) -> None:
    """Keep this specification instead of the one that is there. Which changes a study survives, the caller says."""
    text = json.dumps(specification, allow_nan=False)
    with study.database.writing() as connection:
        connection.execute(tables.studies.update().where(study.rows(tables.studies)).values(specification=text))


def read_specification(study: StoredStudy) -> dict[str, Any] | None:
    """What the study was created from, or None when nobody has saved it yet."""
    with study.database.reading() as connection:
        text = connection.execute(
            select(tables.studies.c.specification).where(study.rows(tables.studies))
        ).scalar_one_or_none()
    return None if text is None else json.loads(text)


def _unknown(name: str, names: list[str], label: str) -> StorageError:
    if not names:
        return StorageError(f"no study {name!r} in database {label}; it holds none yet, so launch one first")
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}" if near else ""
    shown = ", ".join(map(repr, names[:20])) + (" …" if len(names) > 20 else "")
    return StorageError(f"no study {name!r} in database {label}{hint}; it holds {shown}")


def _drop_orphans(database: Database) -> None:
    """Forget rows of deleted studies, because SQLite gives a study's id to the next one.

    Deleting cascades to our tables, except when a program did it that leaves SQLite's foreign keys off.
    """
    with database.writing() as connection:
        alive = select(tables.optuna_studies.c.study_id)
        for table in tables.OURS.sorted_tables:
            if "study_id" in table.c:
                connection.execute(table.delete().where(table.c.study_id.not_in(alive)))
