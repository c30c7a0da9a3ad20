"""Optuna studies by name, and the specification that each was created from."""

import difflib
import json
from collections import Counter
from typing import Any, Literal

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import TrialState
from sqlalchemy import Connection, func, select

from storage.connection import tables
from storage.connection.database import Database
from storage.connection.errors import StorageError


def create_or_load_study(
    database: Database,
    name: str,
    *,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
    direction: Literal["minimize", "maximize"] = "maximize",
) -> optuna.Study:
    """The study of that name, new or as it stands; any number of processes may create it at once.

    Raises:
        StorageError: the name is empty or too long, or the study that is there goes the other way.
    """
    if not name or len(name) > tables.NAME_LENGTH:
        raise StorageError(f"a study name has 1 to {tables.NAME_LENGTH} characters, but {name[:40]!r} has {len(name)}")
    options: dict[str, Any] = {"study_name": name, "storage": database.optuna, "sampler": sampler, "pruner": pruner}
    with database.guarded():
        if name not in study_names(database):
            _drop_orphans(database)
        try:
            return optuna.create_study(**options, direction=direction)
        except DuplicatedStudyError:
            study = optuna.load_study(**options)
    there = study.direction.name.lower()
    if there != direction:
        raise StorageError(
            f"study {name!r} is there and means to {there}, not to {direction}; choose another study name"
        )
    return study


def load_study(
    database: Database, name: str, *, sampler: BaseSampler | None = None, pruner: BasePruner | None = None
) -> optuna.Study:
    """The study of that name.

    Raises:
        StorageError: there is none; the message names the nearest and those that exist.
    """
    with database.guarded():
        try:
            return optuna.load_study(study_name=name, storage=database.optuna, sampler=sampler, pruner=pruner)
        except KeyError:
            raise _unknown(name, study_names(database), database.label) from None


def study_names(database: Database) -> list[str]:
    """Every study in the database, in alphabetical order."""
    with database.reading() as connection:
        return _names(connection)


def count_trials(database: Database, study_name: str) -> Counter[TrialState]:
    """How many trials are in which state.

    Raises:
        StorageError: no such study.
    """
    state = tables.state_of(tables.optuna_trials)
    with database.reading() as connection:
        study_id = find_study(connection, study_name, database.label)
        counted = select(state, func.count()).where(tables.optuna_trials.c.study_id == study_id).group_by(state)
        return Counter({TrialState[name]: count for name, count in connection.execute(counted)})


def save_specification(database: Database, study_name: str, specification: dict[str, Any]) -> None:
    """Keep what the study was created from. The first writer wins: later calls change nothing.

    Raises:
        StorageError: no such study.
    """
    text = json.dumps(specification, allow_nan=False)
    with database.writing() as connection:
        statement = tables.insert(connection, tables.studies).values(
            study_id=find_study(connection, study_name, database.label), specification=text, created_at=tables.clock()
        )
        connection.execute(statement.on_conflict_do_nothing())


def replace_specification(database: Database, study_name: str, specification: dict[str, Any]) -> None:
    """Keep this specification instead of the one that is there. Which changes a study survives is the caller's to say.

    Raises:
        StorageError: no such study.
    """
    text = json.dumps(specification, allow_nan=False)
    with database.writing() as connection:
        study_id = find_study(connection, study_name, database.label)
        connection.execute(
            tables.studies.update().where(tables.studies.c.study_id == study_id).values(specification=text)
        )


def read_specification(database: Database, study_name: str) -> dict[str, Any] | None:
    """What the study was created from, or None when nobody has saved it yet.

    Raises:
        StorageError: no such study.
    """
    with database.reading() as connection:
        study_id = find_study(connection, study_name, database.label)
        text = connection.execute(
            select(tables.studies.c.specification).where(tables.studies.c.study_id == study_id)
        ).scalar_one_or_none()
    return None if text is None else json.loads(text)


def find_study(connection: Connection, name: str, label: str) -> int:
    """Optuna's id of a study.

    Raises:
        StorageError: there is none of that name in the database with this label.
    """
    study_id = tables.study_id(connection, name)
    if study_id is None:
        raise _unknown(name, _names(connection), label)
    return study_id


def _names(connection: Connection) -> list[str]:
    column = tables.optuna_studies.c.study_name
    return sorted(connection.execute(select(column)).scalars())


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
