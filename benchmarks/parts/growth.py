"""A study of any size in seconds: trials that ran are copied under new numbers, with new values for what is continuous.

Through Optuna's own `add_trial` ten thousand trials take minutes. The tables are read from the database, so a column
that this file doesn't know is copied too.
"""

import random
from itertools import cycle, islice
from typing import Any

from optuna.distributions import FloatDistribution, json_to_distribution
from sqlalchemy import Connection, MetaData, Table, func, insert, select, text

from storage.connection import tables
from storage.connection.database import Database

OPTUNA = (
    "trial_params",
    "trial_values",
    "trial_intermediate_values",
    "trial_user_attributes",
    "trial_system_attributes",
)
OURS = ("frcnn_outcomes", "frcnn_telemetry", "frcnn_rungs", "frcnn_leases")
BATCH = 500  # trials

Row = dict[str, Any]


def grow(database: Database, study: str, trials: int) -> None:
    """Copy the study's finished trials until it has so many. All that it has must be finished."""
    metadata = MetaData()
    with database.writing() as connection:
        metadata.reflect(connection, only=("trials", *OPTUNA, *OURS))
        study_id = tables.study_id(connection, study)
        trial = metadata.tables["trials"]
        originals = _rows(connection, trial, trial.c.study_id == study_id)
        rows_of = {name: _by_trial(connection, metadata.tables[name], study_id, originals) for name in (*OPTUNA, *OURS)}
    numbers = iter(range(len(originals), trials))
    chosen = zip(numbers, cycle(originals), strict=False)
    while batch := list(islice(chosen, BATCH)):
        with database.writing() as connection:
            _copy(connection, metadata, batch, rows_of)


def _copy(
    connection: Connection, metadata: MetaData, batch: list[tuple[int, Row]], rows_of: dict[str, dict[int, list[Row]]]
) -> None:
    trial = metadata.tables["trials"]
    first_id = int(connection.execute(select(func.max(trial.c.trial_id))).scalar_one()) + 1
    ids = {number: first_id + place for place, (number, _) in enumerate(batch)}
    connection.execute(insert(trial), [{**row, "number": number, "trial_id": ids[number]} for number, row in batch])
    if connection.dialect.name == "postgresql":  # what was given by hand, the sequence doesn't know
        connection.execute(
            text("SELECT setval(pg_get_serial_sequence('trials', 'trial_id'), max(trial_id)) FROM trials")
        )
    draw = random.Random(first_id)
    for name in OPTUNA:
        rows = [
            {**row, "trial_id": ids[n]} for n, original in batch for row in rows_of[name].get(original["number"], ())
        ]
        if rows:
            connection.execute(insert(metadata.tables[name]), [_redrawn(row, draw) for row in rows])
    for name in OURS:
        rows = [{**row, "trial": n} for n, original in batch for row in rows_of[name].get(original["number"], ())]
        if rows:
            connection.execute(insert(metadata.tables[name]), rows)


def _by_trial(connection: Connection, table: Table, study_id: int | None, trials: list[Row]) -> dict[int, list[Row]]:
    """The rows of each trial by its number, without the keys that the database gives."""
    if table.name in OURS:
        ours = _rows(connection, table, table.c.study_id == study_id)
        return {row["number"]: [one for one in ours if one["trial"] == row["number"]] for row in trials}
    [own_key] = table.primary_key
    found: dict[int, list[Row]] = {}
    for row in trials:
        copies = _rows(connection, table, table.c.trial_id == row["trial_id"])
        found[row["number"]] = [{k: v for k, v in one.items() if k != own_key.name} for one in copies]
    return found


def _rows(connection: Connection, table: Table, where: Any) -> list[Row]:
    return [dict(row) for row in connection.execute(select(table).where(where)).mappings()]


def _redrawn(row: Row, draw: random.Random) -> Row:
    """The row with another value, if it is a continuous parameter: no two trials of a real study are equal."""
    if "distribution_json" not in row:
        return row
    distribution = json_to_distribution(row["distribution_json"])
    if not isinstance(distribution, FloatDistribution) or distribution.step is not None:
        return row
    low, high = distribution.low, distribution.high
    value = low * (high / low) ** draw.random() if distribution.log else draw.uniform(low, high)
    return {**row, "param_value": value}
