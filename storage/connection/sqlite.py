"""Opens an SQLite file for many processes of one machine: write-ahead log, and transactions that lock when they begin.

Without `BEGIN IMMEDIATE`, eight processes claimed 36 of 120 queued trials twice: Optuna reads a trial and writes it
back, and SQLite has no row locks to hold in between.
"""

import errno
import fcntl
import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DisconnectionError

from storage.connection.address import Address
from storage.connection.errors import GONE, StorageError, StorageUnavailable
from storage.connection.optuna_storage import StudyStorage, connect_optuna
from storage.connection.schema import create_schema

BUSY_TIMEOUT_S = 60

#: Execution option of a transaction that only reads: it sees one state of the database and holds up no writer.
SNAPSHOT = "frcnn_snapshot"

_IDENTITY = "frcnn_identity"
_HELD = (errno.EACCES, errno.EAGAIN)


def open_sqlite(address: Address, path: Path) -> StudyStorage:
    """Optuna's storage on the file, with all tables made; its engine serves ours too.

    Raises:
        StorageError: the path is a folder, not an SQLite file, can't be written, or lies where no lock holds.
        StorageUnavailable: another process has been creating the database for a minute.
    """
    _make_folder(path)
    try:
        with FileLock(f"{path}.lock", timeout=BUSY_TIMEOUT_S):
            require_locks(path.with_name(f"{path.name}.lock"))
            _make_file(path)
            storage = connect_optuna(address)
            _stay_with_the_file(storage.engine, path)
            _lock_when_beginning(storage.engine)
            create_schema(storage.engine, address.label)
    except Timeout:
        raise StorageUnavailable(f"database {path}: another process is still creating it; try again") from None
    except OSError as error:
        raise StorageError(
            f"database {path}: its folder can't be written ({error.strerror}); choose another"
        ) from error
    return storage


def _make_folder(path: Path) -> None:
    if path.is_dir():
        raise StorageError(f"database {path} is a folder; name a file in it: sqlite:///{path / 'study.db'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"database {path}: its folder can't be created ({error.strerror}); create it, or choose another path"
        ) from error


def _make_file(path: Path) -> None:
    """The write-ahead log is a property of the file; switching to it needs the file alone."""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            # A write, undone, so that a read-only file fails now and not in the middle of a study: SQLite begins even
            # an immediate transaction on it without complaint.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("PRAGMA user_version = 0")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: sqlite3.Error) -> StorageError | StorageUnavailable:
    text = str(error)
    if "locked" in text:
        return StorageUnavailable(
            f"database {path}: another process has been writing for {BUSY_TIMEOUT_S} s; try again"
        )
    if "not a database" in text:
        return StorageError(f"{path} isn't an SQLite database; choose another path, or move the file away")
    if "readonly" in text:
        return StorageError(
            f"database {path} is read-only; make the file and its folder writable, or choose another path"
        )
    return StorageError(f"database {path} can't be opened ({text}); check the path and its rights")


def require_locks(path: Path, lock: Callable[[int, int, bytes], object] = fcntl.fcntl) -> None:
    """Return if the file system locks files: some network mounts refuse to, or say yes to everybody.

    Raises:
        StorageError: it does not; SQLite would damage its file there as soon as two workers write.
    """
    command = getattr(fcntl, "F_OFD_SETLK", None)  # of Linux: these locks also hold within one process
    if command is None:
        return
    whole_file = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)  # struct flock
    with path.open("ab") as first, path.open("ab") as second:
        try:
            lock(first.fileno(), command, whole_file)
        except OSError as error:
            if error.errno in _HELD:  # by another process that is just looking too: so they work
                return
            raise _without_locks(path, error.strerror or "an error") from error
        try:
            lock(second.fileno(), command, whole_file)
        except OSError:
            return
    raise _without_locks(path, "two locks on one file were both granted")


def _without_locks(path: Path, reason: str) -> StorageError:
    return StorageError(
        f"the folder {path.parent} can't hold an SQLite database: its file system doesn't lock files ({reason}); "
        "choose a local disk, or PostgreSQL"
    )


def _stay_with_the_file(engine: Engine, path: Path) -> None:
    """Have nothing to do with another file than the one that was opened, and never make a new one in its place.

    SQLite itself goes on with a file that was deleted: what it writes is lost, and nobody hears of it.
    """

    @event.listens_for(engine, "do_connect")
    def refuse_a_new_file(dialect: Any, record: Any, positional: Any, options: Any) -> None:
        if not path.exists():
            raise sqlite3.OperationalError(f"{GONE}: {path}")

    @event.listens_for(engine, "connect")
    def remember(connection: Any, record: Any) -> None:
        record.info[_IDENTITY] = _identity(path)

    @event.listens_for(engine, "checkout")
    def compare(connection: Any, record: Any, proxy: Any) -> None:
        if record.info.get(_IDENTITY) != _identity(path):
            raise DisconnectionError  # then the pool connects anew, to what is there


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _lock_when_beginning(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.isolation_level = (
            None  # the driver would begin a transaction at the first write, not at the first read
        )
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        snapshot = connection.get_execution_options().get(SNAPSHOT, False)
        connection.exec_driver_sql("BEGIN" if snapshot else "BEGIN IMMEDIATE")

    engine.dispose()  # connections made before the listeners
