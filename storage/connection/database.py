"""One database with everything that a study leaves behind: Optuna's tables and ours, on one engine."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType

from optuna.exceptions import StorageInternalError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from storage.connection.address import Address
from storage.connection.errors import StorageUnavailable, translated
from storage.connection.optuna_storage import StudyStorage
from storage.connection.postgresql import open_postgresql
from storage.connection.sqlite import SNAPSHOT, open_sqlite


class Database:
    """An open database; a context manager that closes it.

    Promises: safe to use from several threads; every function of this package that takes one is one transaction;
    no message, repr or label of it holds a credential; it can't be pickled.
    """

    __slots__ = ("_joined", "_reader", "engine", "label", "optuna")

    def __init__(self, *, optuna: StudyStorage, label: str) -> None:
        self.optuna = optuna  # give it to optuna functions as `storage`
        self.engine: Engine = optuna.engine
        self.label = label  # host and database, or the path of the file
        self._reader = self.engine.execution_options(**{SNAPSHOT: True})
        optuna.reading = self.reading
        self._joined = threading.local()  # `connection`: the transaction that a thread's blocks are part of

    @classmethod
    def open(cls, url: str) -> "Database":
        """The database at a storage URL (forms: address.py), created if it is an SQLite file that isn't there.

        Any number of processes may open a new database at once.

        Raises:
            StorageError: the URL, the file, the login or the schema is wrong.
            StorageUnavailable: the server doesn't answer, or others keep the database busy.
        """
        address = Address.parse(url)
        with translated(address.label):
            optuna = open_postgresql(address) if address.path is None else open_sqlite(address, address.path)
        return cls(optuna=optuna, label=address.label)

    def close(self) -> None:
        """Give back every connection. The database must not be used afterwards."""
        self.optuna.remove_session()
        self.engine.dispose()

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Database({self.label!r})"

    def guarded(self) -> AbstractContextManager[None]:
        """A block whose calls to Optuna (ask, report, tell) raise `StorageError` and `StorageUnavailable` too."""
        return translated(self.label)

    @contextmanager
    def together(self) -> Iterator[Connection]:
        """One transaction for all that this thread does in the block: functions of this package, and Optuna itself.

        Committed at the end of the block, undone when the block raises. Optuna's own commits become savepoints in it.
        After an undone block load the study anew: Optuna's `Study` keeps trials that it read meanwhile.
        Where a commit's answer is lost, `StorageUnavailable` leaves open whether it happened: read back, don't repeat.
        """
        outer: Connection | None = getattr(self._joined, "connection", None)
        if outer is not None:
            yield outer
            return
        with translated(self.label), self.engine.begin() as connection:
            self.optuna.scoped_session.registry.set(Session(bind=connection, join_transaction_mode="create_savepoint"))
            self._joined.connection = connection
            try:
                yield connection
            except (SQLAlchemyError, StorageInternalError) as error:
                if connection.invalidated:  # whatever was tried on the dead connection afterwards
                    raise StorageUnavailable(f"database {self.label}: the connection was lost; try again") from error
                raise
            finally:
                self._joined.connection = None
                self.optuna.remove_session()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, undone when the block raises. Part of `together`'s."""
        if (joined := getattr(self._joined, "connection", None)) is not None:
            yield joined
            return
        with translated(self.label), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that only reads, and on SQLite waits for no writer. Part of `together`'s."""
        if (joined := getattr(self._joined, "connection", None)) is not None:
            yield joined
            return
        with translated(self.label), self._reader.begin() as connection:
            yield connection
