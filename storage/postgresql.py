"""Opens a PostgreSQL database for many machines."""

from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import Engine, NullPool, create_engine, event, text

from storage.address import Address
from storage.answers import AnswerConnection
from storage.optuna_storage import connect_optuna
from storage.schema import create_schema

#: Ours among the server's advisory locks: the letters "frcnn" as a number.
_CREATION_LOCK = int.from_bytes(b"frcnn")


def open_postgresql(address: Address) -> RDBStorage:
    """Optuna's storage on the database, with all tables made; its engine serves ours too.

    A second connection holds a session lock meanwhile, so that one process at a time creates tables; a process that
    dies gives it back with its connection.
    """
    engine = create_engine(address.url, connect_args=address.connect_args, poolclass=NullPool, hide_parameters=True)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET lock_timeout = '60s'"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _CREATION_LOCK})
        # Few connections: hundreds of workers share one server, and a worker talks from two threads at most.
        storage = connect_optuna(address, pool_pre_ping=True, pool_size=2, max_overflow=3, pool_recycle=1800)
        create_schema(storage.engine, address.label)
    _bound_silence(storage.engine)
    return storage


def _bound_silence(engine: Engine) -> None:
    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, positional: Any, options: Any) -> AnswerConnection:
        return AnswerConnection.connect(*positional, **options)

    engine.dispose()  # connections made before the listener
