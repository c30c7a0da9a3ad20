"""Losses, health figures and evaluations of trials: enough to draw their curves from SQL."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, func, select

from storage.connection import tables
from storage.floats import decode, encode
from storage.records import RungRecord
from storage.study import StoredStudy
from trial.reports import RungReport, TelemetryPoint


def append_telemetry(study: StoredStudy, trial: int, points: Sequence[TelemetryPoint]) -> None:
    """Keep the points of one trial. A step that is there already is replaced: a resumed trial repeats some.

    Raises:
        StorageError: no such trial.
    """
    with study.database.writing() as connection:
        study.require_trial(connection, trial)
        key = {"study_id": study.id, "trial": trial}
        rows = [key | {"step": each.step, "images": each.images, "figures": encode(each.figures)} for each in points]
        if rows:
            connection.execute(tables.replace(connection, tables.telemetry), rows)


def read_telemetry(study: StoredStudy, trial: int) -> list[TelemetryPoint]:
    """The points of one trial by step; empty when there are none."""
    table = tables.telemetry
    with study.database.reading() as connection:
        rows = connection.execute(select(table).where(study.rows(table, trial)).order_by(table.c.step)).all()
    return [_point(row) for row in rows]


def latest_points(study: StoredStudy, trials: Collection[int]) -> dict[int, TelemetryPoint]:
    """The last point of each of these trials that has any."""
    table = tables.telemetry
    with study.database.reading() as connection:
        theirs = study.rows(table) & table.c.trial.in_(sorted(trials))
        last = (
            select(table.c.trial, func.max(table.c.step).label("step")).where(theirs).group_by(table.c.trial).subquery()
        )
        same = (table.c.trial == last.c.trial) & (table.c.step == last.c.step)
        rows = connection.execute(select(table).join(last, same).where(theirs)).all()
    return {row.trial: _point(row) for row in rows}


def count_rungs(study: StoredStudy, trials: Collection[int]) -> Counter[int]:
    """How many evaluations each of these trials has passed."""
    table = tables.rungs
    with study.database.reading() as connection:
        theirs = study.rows(table) & table.c.trial.in_(sorted(trials))
        counted = select(table.c.trial, func.count().label("rungs")).where(theirs).group_by(table.c.trial)
        return Counter({row.trial: row.rungs for row in connection.execute(counted)})


def record_rung(study: StoredStudy, trial: int, rung: RungReport) -> None:
    """Keep one evaluation; one at the same number of images is replaced.

    Raises:
        StorageError: no such trial.
    """
    with study.database.writing() as connection:
        study.require_trial(connection, trial)
        row = asdict(rung) | {"study_id": study.id, "trial": trial, "metrics": encode(rung.metrics)}
        row["ap"] = None if math.isnan(rung.ap) else rung.ap
        connection.execute(tables.replace(connection, tables.rungs).values(row))


def read_rungs(study: StoredStudy, trial: int | None = None) -> list[RungRecord]:
    """The evaluations of one trial, or of every trial, by trial number and images."""
    table = tables.rungs
    with study.database.reading() as connection:
        chosen = select(table).where(study.rows(table))
        if trial is not None:
            chosen = chosen.where(table.c.trial == trial)
        rows = connection.execute(chosen.order_by(table.c.trial, table.c.images)).all()
    return [_rung(row) for row in rows]


def _point(row: Row[Any]) -> TelemetryPoint:
    return TelemetryPoint(step=row.step, images=row.images, figures=decode(row.figures))


def _rung(row: Row[Any]) -> RungRecord:
    ap = math.nan if row.ap is None else row.ap
    return RungRecord(**tables.facts(row) | {"ap": ap, "metrics": decode(row.metrics)})
