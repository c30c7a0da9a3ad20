"""What the command's exit codes mean, and which exception becomes which.

0 done; 2 the user must change something (one message on standard error); 75 interrupted, the database is away or a
disk full: the same command goes on later; 1 a bug of ours, with its traceback.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from detector.config import ConfigError

EXIT_USER_ERROR = 2
EXIT_TRY_AGAIN = 75  # EX_TEMPFAIL


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turns what the user must change, and what passes, into a message and an exit code; a bug keeps its traceback."""
    try:
        yield
    except KeyboardInterrupt:
        _leave("interrupted; run the same command again to go on", EXIT_TRY_AGAIN)
    except _user_errors() as error:  # evaluated only when something was raised
        _leave(str(error), EXIT_USER_ERROR)
    except _passing_errors() as error:
        _leave(str(error), EXIT_TRY_AGAIN)


def _leave(message: str, code: int) -> None:
    typer.echo(f"frcnn-search: {message}", err=True)
    raise typer.Exit(code)


def _user_errors() -> tuple[type[Exception], ...]:
    from storage.connection.errors import StorageError

    return ConfigError, StorageError


def _passing_errors() -> tuple[type[Exception], ...]:
    from search.trainer.exits import DiskFull
    from storage.connection.errors import StorageUnavailable

    return StorageUnavailable, DiskFull
