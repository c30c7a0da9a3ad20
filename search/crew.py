"""The worker processes of one launch on this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from search.worker import DONE, TRY_LATER
from search.worker_process import BUG, STORAGE_VARIABLE, USER_MUST_ACT

LEAVE_LIMIT_S = 20.0  # a worker pauses its trainer within 10 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """How the crew's work ended: one exit code for all, and what its members had to say."""

    code: int
    messages: tuple[str, ...]


class Crew:
    """Starts workers, and ends with them. Each runs in its own session, so that only we pass signals on."""

    def __init__(self, *, study: str, storage: str, folder: Path, workers: int, options: tuple[str, ...] = ()) -> None:
        self.logs = tuple(folder / "logs" / f"worker-{number}.log" for number in range(1, workers + 1))
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", "search.worker_process", "--study", study, "--folder", str(folder)]
        environment = {**os.environ, STORAGE_VARIABLE: storage}
        self._processes = []
        for log in self.logs:
            with log.open("ab") as stderr:
                process = subprocess.Popen(
                    [*command, "--follow-stdin", "--checked", *options],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=environment,
                    start_new_session=True,
                    text=True,
                )
            self._processes.append(process)

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(process.pid for process in self._processes)

    @property
    def working(self) -> bool:
        """Whether a worker is still there, and none has found that the user must act."""
        codes = [process.poll() for process in self._processes]
        return None in codes and USER_MUST_ACT not in codes

    def stop(self) -> None:
        """Ask every worker to stop cleanly; asked twice, they end at once."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()

    def leave(self, *, complete: Callable[[], bool]) -> Departure:
        """Wait for every worker, ending those that take too long. `complete` says whether the study has its trials."""
        deadline = time.monotonic() + LEAVE_LIMIT_S
        messages = []
        for process in self._processes:
            try:
                said, _ = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                said, _ = process.communicate()
            messages.append(said.strip())
        codes = [process.returncode for process in self._processes]
        return Departure(code=_together(codes, complete), messages=tuple(dict.fromkeys(filter(None, messages))))


def _together(codes: list[int], complete: Callable[[], bool]) -> int:
    """One exit code for all: a trial that one worker lost may have been finished by another."""
    if USER_MUST_ACT in codes:
        return USER_MUST_ACT
    if complete():
        return DONE
    return TRY_LATER if set(codes) <= {DONE, TRY_LATER} else BUG
