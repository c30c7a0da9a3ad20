"""How trials ended: our own row, and a copy that the Optuna dashboard shows. Nothing decides by the copy."""

from datetime import datetime
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from sqlalchemy import Row, select

from storage.connection import tables
from storage.floats import decode, encode
from storage.records import OutcomeRecord
from storage.standings import ended_elsewhere
from storage.study import StoredStudy
from trial.outcome import Outcome
from trial.verdict import Verdict


def record_outcome(study: StoredStudy, trial: int, verdict: Verdict) -> None:
    """Keep how a trial ended, once: a second outcome replaces only an interrupted one and is otherwise ignored.

    Record before telling Optuna: while the trial is RUNNING, the outcome that stands is also copied to its user
    attributes, where the dashboard shows it. Calling it again after a crash completes the copy.

    Raises:
        StorageError: no such trial.
    """
    table = tables.outcomes
    with study.database.writing() as connection:
        study.require_trial(connection, trial)
        open_ones = table.c.outcome.in_([outcome.value for outcome in Outcome if not outcome.final])
        statement = tables.replace(connection, table, where=open_ones).values(
            study_id=study.id,
            trial=trial,
            outcome=verdict.outcome.value,
            cause=_storable(verdict.cause),
            message=_storable(verdict.message),
            step=verdict.step,
            images=verdict.images,
            evidence=encode(verdict.evidence),
            recorded_at=tables.clock(),
        )
        connection.execute(statement)
    standing = read_outcome(study, trial)
    if standing is not None:
        _show_in_dashboard(study, standing)


def record_others_ends(study: StoredStudy) -> None:
    """Give every trial that somebody else ended, by `optuna tell` for example, its outcome."""
    for trial in ended_elsewhere(study):
        message = "somebody else told Optuna that it ended; the worker that trained it has dropped it"
        record_outcome(study, trial, Verdict(outcome=Outcome.ENDED_ELSEWHERE, message=message))


def read_outcome(study: StoredStudy, trial: int) -> OutcomeRecord | None:
    """How one trial ended, or None as long as it has not."""
    with study.database.reading() as connection:
        row = connection.execute(select(tables.outcomes).where(study.rows(tables.outcomes, trial))).first()
    return None if row is None else _record(row)


def read_outcomes(study: StoredStudy, *, since: datetime | None = None) -> list[OutcomeRecord]:
    """How every trial of the study ended that has ended or was interrupted, by trial number.

    With `since` only those recorded from then on; others see them a little later than `recorded_at` says.
    """
    table = tables.outcomes
    chosen = select(table).where(study.rows(table))
    if since is not None:
        chosen = chosen.where(table.c.recorded_at >= since.timestamp())
    with study.database.reading() as connection:
        rows = connection.execute(chosen.order_by(table.c.trial)).all()
    return [_record(row) for row in rows]


def outcomes_by_trial(study: StoredStudy) -> dict[int, Outcome]:
    """The bare outcome of every trial that has one: quick, however many there are."""
    table = tables.outcomes
    with study.database.reading() as connection:
        rows = connection.execute(select(table.c.trial, table.c.outcome).where(study.rows(table)))
        return {trial: Outcome(word) for trial, word in rows}


def images_of_faults(study: StoredStudy) -> dict[int, int]:
    """After how many images each trial ended that ended by a fault."""
    table = tables.outcomes
    faults = table.c.outcome.in_([outcome.value for outcome in Outcome if outcome.fault])
    with study.database.reading() as connection:
        rows = connection.execute(select(table.c.trial, table.c.images).where(study.rows(table), faults))
        return {row.trial: row.images for row in rows}


def _show_in_dashboard(study: StoredStudy, outcome: OutcomeRecord) -> None:
    shown: dict[str, Any] = {
        "outcome": outcome.outcome.value,
        "cause": outcome.cause,
        "message": outcome.message,
        "stopped at step": outcome.step,
        "stopped at images": outcome.images,
    }
    storage = study.database.optuna
    with study.database.guarded():
        trial_id = storage.get_trial_id_from_study_id_trial_number(study.id, outcome.trial)
        try:
            for name, value in shown.items():
                storage.set_trial_user_attr(trial_id, name, value)
        except UpdateFinishedTrialError:
            return  # told already, and Optuna keeps told trials as they are; our row has it


def _storable(text: str) -> str:
    """The text without bytes that no database takes as text: a process may leave any on standard error."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def _record(row: Row[Any]) -> OutcomeRecord:
    read = {"outcome": Outcome(row.outcome), "evidence": decode(row.evidence)}
    return OutcomeRecord(**tables.facts(row) | read | {"recorded_at": tables.instant(row.recorded_at)})
