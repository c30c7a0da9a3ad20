"""Where one worker of a launch sits: its process is started, watched and stopped through this, wherever it runs."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from search.trainer.exits import signal_name
from search.trainer.log_file import open_log
from storage.connection.address import STORAGE_VARIABLE, is_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every worker of a launch is told."""

    study: str
    storage: str  # a storage URL or a reference to one; it travels in the environment, never on a command line
    folder: Path  # for checkpoints, caches and logs
    options: tuple[str, ...] = ()  # of `frcnn-search worker`


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerExit:
    """How a worker ended."""

    code: int | None  # its exit code; None: it was lost, with its machine or to a signal
    said: str = ""  # for the user; of a worker that was lost: where and why


class WorkerHandle(Protocol):
    """One worker at work. Promises: once `poll` has told how it ended, it tells the same for ever."""

    def poll(self) -> WorkerExit | None:
        """How the worker ended, or None while it is there. Never waits."""
        ...

    def stop(self) -> None:
        """Ask it to stop cleanly. Nothing happens when it has ended."""
        ...

    def interrupt(self) -> None:
        """After `stop`: ask it to end at once. May be called in a signal handler."""
        ...

    def kill(self) -> None:
        """End it without asking, and let go of what it held."""
        ...


class Executor(Protocol):
    """Where the workers of a launch run."""

    on_this_machine: ClassVar[bool]  # what the launch finds out here holds for them

    def open(
        self, job: Job, workers: int, say: Callable[[str], None]
    ) -> AbstractContextManager[Callable[[int], WorkerHandle]]:
        """A function that starts the worker of that number, from 1 on; it may be called again when that one was lost.

        `say` gets what the user should know meanwhile. At the end of the block nothing is left of what was started.

        Raises:
            ConfigError: so many workers, or this storage, can't be had here; the message says what to do.
        """
        ...


class ProcessHandle:
    """A worker process on this machine. It stops by itself when we die, because its standard input ends then."""

    def __init__(self, job: Job, *, log: Path, environment: Mapping[str, str]) -> None:
        storage = job.storage if is_reference(job.storage) else f"env:{STORAGE_VARIABLE}"
        command = [sys.executable, "-P", "-m", "search.command_line", "worker", "--launched"]
        command += ["--storage", storage, "--study", job.study, "--folder", str(job.folder)]
        with open_log(log) as stderr:
            self._process = subprocess.Popen(
                [*command, *job.options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**environment, STORAGE_VARIABLE: job.storage},
                start_new_session=True,  # only we pass signals on
                text=True,
            )
        self._left: WorkerExit | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> WorkerExit | None:
        if self._left is None and self._process.poll() is not None:
            said, _ = self._process.communicate()
            self._left = _exit_of(self._process.returncode, said.strip())
        return self._left

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()

    def interrupt(self) -> None:
        self.stop()  # a second signal: search/signals.py

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.poll()


def _exit_of(returncode: int, said: str) -> WorkerExit:
    """How a process ended. One that a signal ended was lost: to the kernel for its memory, or to an administrator."""
    name = signal_name(returncode)
    if name is None:
        return WorkerExit(code=returncode, said=said)
    return WorkerExit(code=None, said=". ".join(filter(None, (f"its process was ended by {name}", said))))


def log_of(folder: Path, number: int) -> Path:
    """The log of a launch's worker of that number."""
    return folder / "logs" / f"worker-{number}.log"
