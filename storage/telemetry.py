"""Losses, health figures and evaluations of trials: enough to draw their curves from SQL."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, func, select

from storage.connection import tables
from storage.connection.database import Database
from storage.floats import decode_figures, encode_figures
from storage.records import RungRecord, TelemetryPoint
from storage.study import find_study


def append_telemetry(database: Database, study_name: str, trial: int, points: Sequence[TelemetryPoint]) -> None:
    """Keep the points of one trial. A step that is there already is replaced: a resumed trial repeats some.

    Raises:
        StorageError: no such study or trial.
    """
    with database.writing() as connection:
        study_id = find_study(connection, study_name, database.label)
        tables.require_trial(connection, study_id, trial, study_name)
        rows = [
            {
                "study_id": study_id,
                "trial": trial,
                "step": point.step,
                "images": point.images,
                "figures": encode_figures(point.figures),
            }
            for point in points
        ]
        if rows:
            connection.execute(tables.replace(connection, tables.telemetry), rows)


def read_telemetry(database: Database, study_name: str, trial: int) -> list[TelemetryPoint]:
    """The points of one trial by step; empty when there are none.

    Raises:
        StorageError: no such study.
    """
    table = tables.telemetry
    with database.reading() as connection:
        study_id = find_study(connection, study_name, database.label)
        rows = connection.execute(
            select(table).where(table.c.study_id == study_id, table.c.trial == trial).order_by(table.c.step)
        ).all()
    return [_point(row) for row in rows]


def latest_points(database: Database, study_name: str, trials: Collection[int]) -> dict[int, TelemetryPoint]:
    """The last point of each of these trials that has any.

    Raises:
        StorageError: no such study.
    """
    table = tables.telemetry
    with database.reading() as connection:
        study_id = find_study(connection, study_name, database.label)
        theirs = (table.c.study_id == study_id) & table.c.trial.in_(sorted(trials))
        last = (
            select(table.c.trial, func.max(table.c.step).label("step")).where(theirs).group_by(table.c.trial).subquery()
        )
        same = (table.c.trial == last.c.trial) & (table.c.step == last.c.step)
        rows = connection.execute(select(table).join(last, same).where(theirs)).all()
    return {row.trial: _point(row) for row in rows}


def count_rungs(database: Database, study_name: str, trials: Collection[int]) -> Counter[int]:
    """How many evaluations each of these trials has passed.

    Raises:
        StorageError: no such study.
    """
    table = tables.rungs
    with database.reading() as connection:
        study_id = find_study(connection, study_name, database.label)
        theirs = (table.c.study_id == study_id) & table.c.trial.in_(sorted(trials))
        counted = select(table.c.trial, func.count().label("rungs")).where(theirs).group_by(table.c.trial)
        return Counter({row.trial: row.rungs for row in connection.execute(counted)})


def record_rung(database: Database, study_name: str, rung: RungRecord) -> None:
    """Keep one evaluation; one at the same number of images is replaced.

    Raises:
        StorageError: no such study or trial.
    """
    with database.writing() as connection:
        study_id = find_study(connection, study_name, database.label)
        tables.require_trial(connection, study_id, rung.trial, study_name)
        statement = tables.replace(connection, tables.rungs).values(
            study_id=study_id,
            trial=rung.trial,
            images=rung.images,
            step=rung.step,
            ap=None if math.isnan(rung.ap) else rung.ap,
            metrics=encode_figures(rung.metrics),
            training_s=rung.training_s,
            evaluation_s=rung.evaluation_s,
        )
        connection.execute(statement)


def read_rungs(database: Database, study_name: str, trial: int | None = None) -> list[RungRecord]:
    """The evaluations of one trial, or of every trial, by trial number and images.

    Raises:
        StorageError: no such study.
    """
    table = tables.rungs
    with database.reading() as connection:
        study_id = find_study(connection, study_name, database.label)
        chosen = select(table).where(table.c.study_id == study_id)
        if trial is not None:
            chosen = chosen.where(table.c.trial == trial)
        rows = connection.execute(chosen.order_by(table.c.trial, table.c.images)).all()
    return [_rung(row) for row in rows]


def _point(row: Row[Any]) -> TelemetryPoint:
    return TelemetryPoint(step=row.step, images=row.images, figures=decode_figures(row.figures))


def _rung(row: Row[Any]) -> RungRecord:
    return RungRecord(
        trial=row.trial,
        images=row.images,
        step=row.step,
        ap=math.nan if row.ap is None else row.ap,
        metrics=decode_figures(row.metrics),
        training_s=row.training_s,
        evaluation_s=row.evaluation_s,
    )
