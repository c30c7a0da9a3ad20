"""Our tables, beside Optuna's in the same database, and the database's clock.

Times are seconds since 1970 as a double, always read from the database's clock. JSON stands in text columns, because
PostgreSQL's json type refuses what figures may hold (storage/floats.py).

The `optuna_…` tables describe what we read of Optuna's schema (v3.2.0.a, unchanged in Optuna 5). They are never
created, altered or written here.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    cast,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

SCHEMA_VERSION = 4  # 2 added frcnn_outages, 3 frcnn_box_samples, 4 what a worker is doing
NAME_LENGTH = 512  # as Optuna's study names

_OPTUNA = MetaData()
OURS = MetaData()

optuna_studies = Table(
    "studies",
    _OPTUNA,
    Column("study_id", Integer, primary_key=True),
    Column("study_name", String(NAME_LENGTH)),
)
optuna_trials = Table(
    "trials",
    _OPTUNA,
    Column("trial_id", Integer, primary_key=True),
    Column("number", Integer),
    Column("study_id", Integer),
    Column("state", String),
    Column("datetime_start", DateTime),  # UTC without saying so, as the next
    Column("datetime_complete", DateTime),
)


def _of_trial(name: str, key: str, *columns: Column[Any]) -> Table:
    return Table(name, _OPTUNA, Column(key, Integer, primary_key=True), Column("trial_id", Integer), *columns)


optuna_params = _of_trial(
    "trial_params",
    "param_id",
    Column("param_name", String),
    Column("param_value", Double),
    Column("distribution_json", Text),
)
optuna_values = _of_trial(
    "trial_values",
    "trial_value_id",
    Column("objective", Integer),
    Column("value", Double),
    Column("value_type", String),
)
optuna_intermediate_values = _of_trial(
    "trial_intermediate_values",
    "trial_intermediate_value_id",
    Column("step", Integer),
    Column("intermediate_value", Double),
    Column("intermediate_value_type", String),
)
optuna_user_attributes = _of_trial(
    "trial_user_attributes", "trial_user_attribute_id", Column("key", String), Column("value_json", Text)
)
optuna_system_attributes = _of_trial(
    "trial_system_attributes", "trial_system_attribute_id", Column("key", String), Column("value_json", Text)
)


def _study_id() -> Column[int]:
    """Deleting a study in Optuna (or in its dashboard) takes our rows with it."""
    return Column("study_id", ForeignKey(optuna_studies.c.study_id, ondelete="CASCADE"), primary_key=True)


def _trial() -> Column[int]:
    return Column("trial", Integer, primary_key=True, autoincrement=False)  # Optuna's trial number


schema = Table("frcnn_schema", OURS, Column("version", Integer, primary_key=True, autoincrement=False))

studies = Table(
    "frcnn_studies",
    OURS,
    _study_id(),
    Column("specification", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)
box_samples = Table(
    "frcnn_box_samples",
    OURS,
    _study_id(),
    Column("sample", Text, nullable=False),
)
outcomes = Table(
    "frcnn_outcomes",
    OURS,
    _study_id(),
    _trial(),
    Column("outcome", String(64), nullable=False),
    Column("cause", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("images", BigInteger, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("recorded_at", Double, nullable=False),
)
telemetry = Table(
    "frcnn_telemetry",
    OURS,
    _study_id(),
    _trial(),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("images", BigInteger, nullable=False),
    Column("figures", Text, nullable=False),
)
rungs = Table(
    "frcnn_rungs",
    OURS,
    _study_id(),
    _trial(),
    Column("images", BigInteger, primary_key=True, autoincrement=False),
    Column("step", BigInteger, nullable=False),
    Column("ap", Double),  # NULL is NaN, which SQLite can't hold
    Column("metrics", Text, nullable=False),
    Column("training_s", Double, nullable=False),
    Column("evaluation_s", Double, nullable=False),
)
leases = Table(
    "frcnn_leases",
    OURS,
    _study_id(),
    _trial(),
    Column("worker", String(NAME_LENGTH), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Double),  # NULL is released
)
turns = Table(
    "frcnn_turns",
    OURS,
    _study_id(),
    Column("worker", String(NAME_LENGTH), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Double),  # NULL is released
)
workers = Table(
    "frcnn_workers",
    OURS,
    _study_id(),
    Column("worker", String(NAME_LENGTH), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("device", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("trial", Integer),
    Column("images", BigInteger, nullable=False),
    Column("images_per_s", Double, nullable=False),
    Column("doing", Text, nullable=False, server_default=""),
)
outages = Table(
    "frcnn_outages",
    OURS,
    _study_id(),
    Column("worker", String(NAME_LENGTH), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # of this worker's, from 1
    Column("lasted_s", Double, nullable=False),
    Column("ended_at", Double, nullable=False),
)


class clock(FunctionElement[float]):
    """The database's time in seconds since 1970, at the moment in which the row is looked at."""

    type = Double()
    inherit_cache = True


@compiles(clock, "sqlite")
def _sqlite_clock(element: clock, compiler: Any, **options: Any) -> str:
    # unixepoch('subsec') needs SQLite 3.42, which systems of 2023 don't have. Resolution: a millisecond.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(clock, "postgresql")
def _postgresql_clock(element: clock, compiler: Any, **options: Any) -> str:
    # Not now(): that is the start of the transaction, which may have waited for a lock since.
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


def instant(seconds: float) -> datetime:
    """The UTC time of a column of seconds."""
    return datetime.fromtimestamp(seconds, UTC)


Insert = sqlite.Insert | postgresql.Insert


def insert(connection: Connection, table: Table) -> Insert:
    """An INSERT that knows ON CONFLICT, in the connection's dialect."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def replace(connection: Connection, table: Table, *, where: ColumnElement[bool] | None = None) -> Insert:
    """An INSERT that takes over every other column where the primary key is there already (and `where` holds)."""
    statement = insert(connection, table)
    key = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=others, where=where)


def is_free(table: Table) -> ColumnElement[bool]:
    """Whether nobody holds a lease or turn: released or never taken (both NULL), or expired."""
    return or_(table.c.expires_at.is_(None), table.c.expires_at <= clock())


def study_id(connection: Connection, study_name: str) -> int | None:
    """Optuna's id of a study, or None if there is no such study."""
    return connection.execute(
        select(optuna_studies.c.study_id).where(optuna_studies.c.study_name == study_name)
    ).scalar_one_or_none()


def facts(row: Row[Any]) -> dict[str, Any]:
    """What a row says of its study, by column; a record has fields of the same names."""
    return {name: value for name, value in row._mapping.items() if name != "study_id"}


def state_of(trials: Table) -> ColumnElement[str]:
    """The state of Optuna's trials as text; on PostgreSQL the column is an enumeration, which compares with none."""
    return cast(trials.c.state, Text)
