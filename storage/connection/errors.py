"""What storage raises, and the one place that reads a database's own errors.

    Exception
     ├── StorageError        the user must change something: a URL, a permission, a name (exit code 2)
     ├── StorageUnavailable  nothing is wrong with the request: try again later (exit code 75)
     │    └── MachineBusy    nothing is wrong with the database either: this machine's connections are all in use
     ├── LeaseHeld           this trial isn't to be had now; go on with another
     └── LeaseLost           this trial (or turn) has passed to somebody else; drop what was not written yet

Whatever else comes out of a database (a broken constraint, a wrong statement) is a bug of ours and stays as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import StorageInternalError
from optuna.storages._rdb.models import NOT_FOUND_MSG
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

#: What PostgreSQL's client says of the URL itself, before it asks any server.
_BAD_URL = tuple(
    (words, "the storage URL has an option, or a value of one, that PostgreSQL's client does not know; correct it")
    for words in ("invalid connection option", "bad value for", "invalid sslmode", "invalid port", "invalid integer")
)

#: Words of SQLite and PostgreSQL that only the user can help with, and what to tell. First match wins.
_USER_MUST_ACT = (
    ("readonly database", "it can't be written; make the file and its folder writable, or choose another storage URL"),
    ("unable to open database", "it can't be opened; check that the path is a file that this user may read and write"),
    ("not a database", "the file isn't an SQLite database; choose another path, or move the file away"),
    ("malformed", "the file is damaged; move it away, or bring back a copy"),
    ("password authentication failed", "the server refuses the user or the password; check the storage URL"),
    ("no password supplied", "the server wants a password; put it into the storage URL (env:NAME or file:PATH)"),
    ("no pg_hba.conf entry", "the server admits no such user from this machine; ask its administrator"),
    ("read-only transaction", "this user's sessions, or the server, are read-only; use another user, or the primary"),
    ("not permitted to log in", "the server lets no such user log in; check the storage URL, or ask its administrator"),
    ("certificate", "the server's certificate can't be verified; check sslmode and sslrootcert in the storage URL"),
    ("does not support ssl", "the server speaks no SSL, which sslmode asks for; change one of them"),
    *_BAD_URL,
    ("does not exist", "the server has no such database, user or table; create it, or check the storage URL"),
    ("permission denied", "this user lacks a right on it; ask its administrator"),
)

_REFUSALS = ("42501", "25006")  # insufficient privilege, read-only transaction

#: How Optuna says that a record is not there any more.
_NOT_FOUND = (NOT_FOUND_MSG, "No trial with trial number ")

#: What we say ourselves of an SQLite file that is not there any more.
GONE = "the database's file is gone"

_NO_ROOM = "it admits no more connections of this user now; wait, or have its administrator raise the limit"

#: Words that pass by themselves, or once somebody made room.
_TRY_LATER = (
    (GONE, "its file was deleted or moved away; put it back, or stop the workers"),
    ("is locked", "another process has been writing for too long; try again"),
    ("disk is full", "its disk is full; make room, then launch again"),
    ("disk i/o error", "its disk fails to read or write; check it, then launch again"),
    *((words, _NO_ROOM) for words in ("too many connections", "too many clients", "connection slots")),
    (
        "statement timeout",
        "it ends statements after a statement_timeout that is too short; have it raised for this user",
    ),
    ("failed to resolve host", "nobody here knows its host name; check the storage URL, or the network"),
    ("lock timeout", "another process holds its tables for too long; try again"),
)


class StorageError(Exception):
    """The user must change something. The message holds the rule, the value and what to do, never a credential."""


class StorageUnavailable(Exception):
    """The database is away or busy; the same request may succeed later."""


class MachineBusy(StorageUnavailable):
    """Every connection that this machine may have is in use; one will be free, whatever becomes of the server."""


class LeaseHeld(Exception):
    """The trial can't be claimed now: somebody's lease on it is alive, or it isn't running any more."""


class LeaseLost(Exception):
    """The lease or turn isn't the caller's any more: released, or taken over after it had expired."""


@contextmanager
def translated(label: str) -> Iterator[None]:
    """Turn the errors of SQLAlchemy and of Optuna's storage into ours inside this block.

    Raises:
        StorageError: the database refuses for a reason that the user can remove.
        StorageUnavailable: the database is away, busy or full.
    """
    try:
        yield
    except KeyError as error:
        if not any(str(said).startswith(_NOT_FOUND) for said in error.args):
            raise
        raise _deleted(label) from error
    except (StorageInternalError, DBAPIError, PoolTimeoutError) as error:
        explained = _explained(error.__cause__ if isinstance(error, StorageInternalError) else error, label)
        if explained is None:
            raise
        raise explained from error


def _explained(error: BaseException | None, label: str) -> Exception | None:
    """Ours for a database's error, or None where it is a bug of the caller."""
    if isinstance(error, PoolTimeoutError):
        return StorageUnavailable(f"database {label}: every connection of this process is in use; try again")
    if isinstance(error, IntegrityError) and "foreign key" in str(error.orig).lower():
        return _deleted(label)
    if not _concerns_the_user(error):
        return None
    text = str(error.orig).lower() if isinstance(error, DBAPIError) else ""
    for words, advice in _USER_MUST_ACT:
        if words in text:
            return StorageError(f"database {label}: {advice}")
    for words, advice in _TRY_LATER:
        if words in text:
            return StorageUnavailable(f"database {label}: {advice}")
    return StorageUnavailable(
        f"database {label} doesn't answer; check that it runs and can be reached, then launch again"
    )


def _deleted(label: str) -> StorageError:
    """All our rows hang on their study, and nothing else of Optuna's ever vanishes."""
    return StorageError(f"database {label}: the study was deleted; stop its workers, or launch it again")


def _concerns_the_user(error: BaseException | None) -> bool:
    if isinstance(error, OperationalError | InterfaceError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    said = getattr(error, "orig", None)
    if type(error) is DatabaseError or getattr(said, "sqlstate", "") in _REFUSALS:
        return True
    return isinstance(error, ProgrammingError) and any(words in str(said) for words, _ in _BAD_URL)
