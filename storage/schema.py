"""Creates our tables beside Optuna's, once, and refuses a database that a newer program wrote."""

from sqlalchemy import Engine, inspect, select

from storage import tables
from storage.errors import StorageError


def create_schema(engine: Engine, label: str) -> None:
    """Make sure that our tables are there. The caller holds the lock that lets one process do this at a time.

    Raises:
        StorageError: the database has a newer schema than this program knows.
    """
    try:
        with engine.begin() as connection:
            known = inspect(connection).has_table(tables.schema.name)
            version = connection.execute(select(tables.schema.c.version)).scalar() if known else None
            if version is not None and version > tables.SCHEMA_VERSION:
                raise StorageError(
                    f"database {label} has schema {version} of frcnn-search, but this program knows up to "
                    f"{tables.SCHEMA_VERSION}; update frcnn-search, or choose another storage URL"
                )
            if version is None:
                tables.OURS.create_all(connection)
                connection.execute(tables.schema.insert().values(version=tables.SCHEMA_VERSION))
            elif version < tables.SCHEMA_VERSION:  # every version so far only added tables
                tables.OURS.create_all(connection)
                connection.execute(tables.schema.update().values(version=tables.SCHEMA_VERSION))
    except BaseException:
        engine.dispose()  # nobody else will: its owner isn't made yet
        raise
