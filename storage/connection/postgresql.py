"""Opens a PostgreSQL database for many machines."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, NullPool, create_engine, text

from storage.connection import tables
from storage.connection.address import Address
from storage.connection.answers import AnswerConnection
from storage.connection.errors import StorageUnavailable
from storage.connection.idle import BriefPool
from storage.connection.optuna_storage import StudyStorage, connect_optuna
from storage.connection.schema import create_schema, read_version
from storage.connection.slots import Slots

#: Ours among the server's advisory locks: the letters "frcnn" as a number.
_CREATION_LOCK = int.from_bytes(b"frcnn")
_CREATION_LIMIT_S = 60.0
_LOOK_AGAIN_S = 0.1


def open_postgresql(address: Address) -> StudyStorage:
    """Optuna's storage on the database, with all tables made; its engine serves ours too.

    Its connections are bounded for this machine (slots.py), closed as soon as they idle (idle.py), and
    give up on a silent server (answers.py), from the first one on.
    """
    slots = Slots(address.label)
    if _is_current(address, slots):
        return _connected(address, slots)
    with _lock(address):
        return _connected(address, slots)


def _connected(address: Address, slots: Slots) -> StudyStorage:
    storage = connect_optuna(
        address,
        creator=_connector(address, slots),
        poolclass=BriefPool,
        pool_pre_ping=True,
        pool_size=2,  # a worker talks from two threads at most
        max_overflow=3,
    )
    create_schema(storage.engine, address.label)
    return storage


def _is_current(address: Address, slots: Slots) -> bool:
    """Whether nothing is to be made or brought up to date, which only one process at a time may do."""
    with _passing(address, slots).connect() as connection:
        return (read_version(connection) or 0) >= tables.SCHEMA_VERSION


@contextmanager
def _lock(address: Address) -> Iterator[None]:
    """One process at a time makes the tables; one that dies gives the right back with its connection.

    Not in one of the slots: whoever waits here in the last one would wait for ever.
    """
    deadline = time.monotonic() + _CREATION_LIMIT_S
    engine = _passing(address, None)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _CREATION_LOCK}).scalar():
            if time.monotonic() > deadline:
                raise StorageUnavailable(
                    f"database {address.label}: another process is still creating its tables; try again"
                )
            time.sleep(_LOOK_AGAIN_S)
        yield


def _passing(address: Address, slots: Slots | None) -> Engine:
    """An engine whose connections end with their use."""
    return create_engine(address.url, creator=_connector(address, slots), poolclass=NullPool, hide_parameters=True)


def _connector(address: Address, slots: Slots | None) -> Callable[[], AnswerConnection]:
    """What opens one connection; SQLAlchemy's own way would take psycopg's plain class."""
    _, options = address.url.get_dialect()().create_connect_args(address.url)
    return lambda: AnswerConnection.within(slots, **options, **address.connect_args)
