"""How trials ended: our own row, and a copy that the Optuna dashboard shows."""

from collections import Counter
from datetime import datetime
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from sqlalchemy import Row, func, select

from storage.connection import tables
from storage.connection.database import Database
from storage.floats import decode_figures, encode_figures
from storage.records import OutcomeRecord
from storage.study import find_study

#: The one outcome that isn't final: the trial goes on later and then ends otherwise.
INTERRUPTED = "interrupted"

_LEGACY_CONSTRAINTS = "constraints"


def record_outcome(database: Database, study_name: str, outcome: OutcomeRecord) -> None:
    """Keep how a trial ended, once: a second outcome replaces only an interrupted one and is otherwise ignored.

    Record before telling Optuna: while the trial is RUNNING, the outcome that stands is also copied to its user
    attributes, where the dashboard shows it. Calling it again after a crash completes the copy.

    Raises:
        StorageError: no such study or trial.
    """
    table = tables.outcomes
    with database.writing() as connection:
        study_id = find_study(connection, study_name, database.label)
        tables.require_trial(connection, study_id, outcome.trial, study_name)
        statement = tables.replace(connection, table, where=table.c.outcome == INTERRUPTED).values(
            study_id=study_id,
            trial=outcome.trial,
            outcome=outcome.outcome,
            cause=_storable(outcome.cause),
            message=_storable(outcome.message),
            step=outcome.step,
            images=outcome.images,
            evidence=encode_figures(outcome.evidence),
            recorded_at=tables.clock(),
        )
        connection.execute(statement)
    standing = read_outcome(database, study_name, outcome.trial)
    if standing is not None:
        _show_in_dashboard(database, study_id, standing)


def read_outcome(database: Database, study_name: str, trial: int) -> OutcomeRecord | None:
    """How one trial ended, or None as long as it has not.

    Raises:
        StorageError: no such study.
    """
    table = tables.outcomes
    with database.reading() as connection:
        study_id = find_study(connection, study_name, database.label)
        row = connection.execute(select(table).where(table.c.study_id == study_id, table.c.trial == trial)).first()
    return None if row is None else _record(row)


def read_outcomes(database: Database, study_name: str, *, since: datetime | None = None) -> list[OutcomeRecord]:
    """How every trial of the study ended that has ended or was interrupted, by trial number.

    With `since` only those recorded from then on; others see them a little later than `recorded_at` says.

    Raises:
        StorageError: no such study.
    """
    table = tables.outcomes
    with database.reading() as connection:
        study_id = find_study(connection, study_name, database.label)
        chosen = select(table).where(table.c.study_id == study_id)
        if since is not None:
            chosen = chosen.where(table.c.recorded_at >= since.timestamp())
        rows = connection.execute(chosen.order_by(table.c.trial)).all()
    return [_record(row) for row in rows]


def count_outcomes(database: Database, study_name: str) -> Counter[str]:
    """How many trials of the study ended in each way.

    Raises:
        StorageError: no such study.
    """
    table = tables.outcomes
    with database.reading() as connection:
        study_id = find_study(connection, study_name, database.label)
        counted = select(table.c.outcome, func.count()).where(table.c.study_id == study_id).group_by(table.c.outcome)
        return Counter({row[0]: row[1] for row in connection.execute(counted)})


def mark_infeasible(database: Database, study: optuna.Study, trial: optuna.Trial, constraint_name: str) -> None:
    """Mark a RUNNING trial's configuration as one that can't work, for samplers and for the dashboard; idempotent.

    Samplers read the named constraint. The dashboard (0.21) reads only the list of older Optuna versions, so that is
    written too; its place in `Trial.constraints` is called "0". Trials without constraints count as feasible in both.

    Raises:
        ValueError: the trial belongs to another study.
        StorageError, StorageUnavailable: as everywhere here.
    """
    if trial.study._study_id != study._study_id:
        raise ValueError(f"trial {trial.number} isn't one of study {study.study_name!r}")
    with database.guarded():
        database.optuna.set_trial_system_attr(trial._trial_id, _LEGACY_CONSTRAINTS, [1.0])
        if constraint_name not in trial.constraints:
            trial.set_constraint(constraint_name, 1.0)


def _show_in_dashboard(database: Database, study_id: int, outcome: OutcomeRecord) -> None:
    shown: dict[str, Any] = {
        "outcome": outcome.outcome,
        "cause": outcome.cause,
        "message": outcome.message,
        "stopped at step": outcome.step,
        "stopped at images": outcome.images,
    }
    with database.guarded():
        trial_id = database.optuna.get_trial_id_from_study_id_trial_number(study_id, outcome.trial)
        try:
            for name, value in shown.items():
                database.optuna.set_trial_user_attr(trial_id, name, value)
        except UpdateFinishedTrialError:
            return  # told already, and Optuna keeps told trials as they are; our row has it


def _storable(text: str) -> str:
    """What a process left on standard error may hold bytes that no database takes as text."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def _record(row: Row[Any]) -> OutcomeRecord:
    return OutcomeRecord(
        trial=row.trial,
        outcome=row.outcome,
        cause=row.cause,
        message=row.message,
        step=row.step,
        images=row.images,
        evidence=decode_figures(row.evidence),
        recorded_at=tables.instant(row.recorded_at),
    )
