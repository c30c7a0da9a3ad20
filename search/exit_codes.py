"""What the command's exit codes mean, and which exception becomes which."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from detector.config import ConfigError
from search.terminal import say
from search.trainer.exits import DiskFull, SetupFailed
from trial.outcome import Outcome


class ExitCode(IntEnum):
    """How a process of ours ended."""

    DONE = 0
    BUG = 1  # of ours, with its traceback
    USER_MUST_ACT = 2  # one message says what to change
    TRY_LATER = 75  # EX_TEMPFAIL: interrupted, the database is away or a disk full; the same command goes on later


def exit_code_of(error: BaseException) -> ExitCode:
    """The code of a command that this exception ends."""
    from storage.connection.errors import StorageError, StorageUnavailable  # loads SQLAlchemy, and help is instant

    match error:
        case SetupFailed():
            return ExitCode.USER_MUST_ACT if error.verdict.outcome is Outcome.BAD_DATA else ExitCode.BUG
        case ConfigError() | StorageError():
            return ExitCode.USER_MUST_ACT
        case StorageUnavailable() | DiskFull() | KeyboardInterrupt():
            return ExitCode.TRY_LATER
        case _:
            return ExitCode.BUG


@contextmanager
def exit_codes(*, on_stdout: bool = False) -> Iterator[None]:
    """Turns what the user must change, and what passes, into a message and an exit code; a bug keeps its traceback.

    The message goes to standard error, unless somebody waits for it elsewhere.
    """
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt as error:
        _leave("frcnn-search: interrupted; run the same command again to go on", error, on_stdout)
    except Exception as error:
        if exit_code_of(error) is ExitCode.BUG and not isinstance(error, SetupFailed):
            raise
        _leave(str(error) if on_stdout else f"frcnn-search: {error}", error, on_stdout)


def _leave(message: str, error: BaseException, on_stdout: bool) -> None:
    say(message, err=not on_stdout)
    raise typer.Exit(exit_code_of(error))
