"""The workers of a study under fire: two processes that somebody starts again, or those of one `launch`."""

import contextlib
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from search.exit_codes import ExitCode
from search.launch.launching import launch
from search.study.specification import Specification
from search.terminal import PlainConsole
from tests.support.workforce import leave, leave_with_code, start_worker

WORKERS = 2
LEASE_S = 2.0
MOST_KILLS_OF_A_LAUNCH = 5  # it gives a worker up that is lost again and again
IN_ORDER = {None, ExitCode.DONE, ExitCode.TRY_LATER}
STUCK_S = 240.0  # a study of seconds has long ended


class Workers(ABC):
    """Who works on the study; `killed` and `dismissed` are process ids."""

    def __init__(self) -> None:
        self.killed: set[int] = set()
        self.dismissed: set[int] = set()

    @abstractmethod
    def refill(self) -> None:
        """Start again what left; whoever left must have had a reason.

        Raises:
            AssertionError: it had none.
        """

    @abstractmethod
    def alive(self) -> list[psutil.Process]:
        """Workers at work."""

    @abstractmethod
    def complete(self) -> bool:
        """Whether a worker says that the study has its trials."""

    @abstractmethod
    def end(self, *codes: int) -> None:
        """Wait for every worker to leave by itself, with one of those exit codes."""

    def kill(self, victim: psutil.Process) -> bool:
        """Kill that worker. Returns whether it is gone."""
        self.killed.add(victim.pid)
        victim.kill()
        return self._left(victim)

    def dismiss(self, victim: psutil.Process) -> bool:
        """Tell that worker to go, as a scheduler would. Returns whether it went."""
        self.dismissed.add(victim.pid)
        victim.terminate()
        return self._left(victim)

    def _left(self, victim: psutil.Process, within_s: float = 60.0) -> bool:
        deadline = time.monotonic() + within_s
        with contextlib.suppress(psutil.NoSuchProcess):  # it may be reaped between two questions
            while victim.is_running() and victim.status() != psutil.STATUS_ZOMBIE:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.02)
        return True


class Started(Workers):
    """So many worker processes, each started by itself, from a warm fork server."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__()
        self.variables: Mapping[str, str] = {}  # of the environment of those that are started from now on
        self._url = url
        self._folder = folder
        self._workers: list[BaseProcess] = []

    def refill(self) -> None:
        left = {worker.exitcode for worker in self._workers if worker.pid not in self.killed}
        left -= IN_ORDER | {-signal.SIGTERM}  # told to go while it was still starting, with nothing to give back
        assert not left, f"a worker ended with {left}"
        self._workers = [worker for worker in self._workers if worker.exitcode in (None, 0)]
        while len(self._workers) < WORKERS:
            self._workers.append(start_worker(self._url, self._folder, lease_s=LEASE_S, **self.variables))

    def alive(self) -> list[psutil.Process]:
        return [psutil.Process(worker.pid) for worker in self._workers if worker.is_alive()]

    def complete(self) -> bool:
        return any(worker.exitcode == 0 for worker in self._workers)

    def end(self, *codes: int) -> None:
        for worker in self._workers:
            left = leave(worker, STUCK_S)
            if worker.pid not in self.killed | self.dismissed:  # just now: its end had not been heard of
                # one whose disk was full a moment ago may still be leaving
                assert left in (*codes, ExitCode.TRY_LATER), f"a worker ended with {left}, not {codes}"


class Launched(Workers):
    """The workers of `launch`, which starts again what was killed; nobody else does."""

    def __init__(self, specification: Specification, folder: Path) -> None:
        super().__init__()
        self._specification = specification
        self._folder = folder
        self._launch: BaseProcess | None = None

    def refill(self) -> None:
        code = self._launch.exitcode if self._launch else ExitCode.TRY_LATER
        assert code in IN_ORDER, f"the launch ended with {code}: {self._folder / 'launch.log'}"
        if code == ExitCode.TRY_LATER:
            context = get_context("forkserver")
            arguments = (self._specification, self._folder, dict(os.environ))
            self._launch = context.Process(target=_launch, args=arguments)
            self._launch.start()

    def alive(self) -> list[psutil.Process]:
        if self._launch is None or not self._launch.is_alive():
            return []
        children = psutil.Process(self._launch.pid).children()
        return [one for one in children if one.status() != psutil.STATUS_ZOMBIE and "worker" in one.cmdline()]

    def complete(self) -> bool:
        return self._launch is not None and self._launch.exitcode == 0

    def end(self, *codes: int) -> None:
        assert self._launch is not None
        assert (left := leave(self._launch, STUCK_S)) in codes, f"the launch ended with {left}, not {codes}"

    def kill(self, victim: psutil.Process) -> bool:
        return len(self.killed) < MOST_KILLS_OF_A_LAUNCH and super().kill(victim)


def _launch(specification: Specification, folder: Path, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with (folder / "launch.log").open("a") as log:
        options = ("--lease-s", str(LEASE_S))
        console = PlainConsole(file=log, width=200)
        leave_with_code(lambda: launch(specification, folder=folder, console=console, options=options))
