"""Creates our tables beside Optuna's, adds what an older program did not know, and refuses a newer one's database.

Every version so far only added tables, and columns with a default, so that bringing a database up to date is creating
those that are missing.
"""

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.schema import CreateColumn

from storage.connection import tables
from storage.connection.errors import StorageError


def create_schema(engine: Engine, label: str) -> None:
    """Make sure that all our tables are there. The caller holds the lock that lets one process do this at a time.

    Workers with an older program that are at it go on; they can't open the database again.

    Raises:
        StorageError: the database has a newer schema than this program knows.
    """
    try:
        with engine.begin() as connection:
            version = read_version(connection)
            if version is not None and version > tables.SCHEMA_VERSION:
                raise StorageError(
                    f"database {label} has schema {version} of frcnn-search, but this program knows up to "
                    f"{tables.SCHEMA_VERSION}; update frcnn-search, or choose another storage URL"
                )
            if version is None or version < tables.SCHEMA_VERSION:
                tables.OURS.create_all(connection)
                _add_columns(connection)
                change = tables.schema.insert() if version is None else tables.schema.update()
                connection.execute(change.values(version=tables.SCHEMA_VERSION))
    except BaseException:
        engine.dispose()  # nobody else will: its owner isn't made yet
        raise


def _add_columns(connection: Connection) -> None:
    """Add what the tables of an older program lack."""
    there = inspect(connection)
    for table in tables.OURS.sorted_tables:
        known = {column["name"] for column in there.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                column_text = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {column_text}"))


def read_version(connection: Connection) -> int | None:
    """The version of our tables, or None where there are none; its table is made last, when all others are there."""
    known = inspect(connection).has_table(tables.schema.name)
    return connection.execute(select(tables.schema.c.version)).scalar() if known else None
