"""Accidents of the analytic trainer on purpose, by trial, for tests of faults.

FRCNN_ANALYTIC_FAULTS    `trial:fault[:times]`, comma-separated, at most so many times (default: always). They strike
                         in the middle of the way to a rung: kill, segfault, exit, error, memory and exhausted (say
                         so), weights (such as no trial can begin with), allocate (really), full (no file can grow any
                         more), busy (five seconds in which Python does nothing else), hang (silent), stall (says the
                         same again and again)
"""

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from search.trainer.protocol import Start

BUSY_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong in one trial, and how often."""

    name: str
    times: int | None  # None: always


class Faults:
    """Accidents on purpose, by trial number."""

    def __init__(self, by_trial: Mapping[int, Fault]) -> None:
        self._by_trial = by_trial

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """The faults that a text such as `3:kill,5:hang:1` names."""
        by_trial = {}
        for item in filter(None, text.split(",")):
            trial, name, *times = item.split(":")
            by_trial[int(trial)] = Fault(name=name, times=int(times[0]) if times else None)
        return cls(by_trial)

    def strike(self, start: Start, say: Callable[[], None]) -> None:
        """Do what is due in this trial, if anything is; struck ones are counted in its directory.

        `say` says once more what was said last.
        """
        fault = self._by_trial.get(start.trial)
        if fault is None:
            return
        counter = start.directory / "faults"
        struck = int(counter.read_text()) if counter.exists() else 0
        if fault.times is None or struck < fault.times:
            counter.write_text(str(struck + 1))
            _ACCIDENTS[fault.name](say)


def _kill(say: Callable[[], None], number: int) -> None:
    os.kill(os.getpid(), number)


def _raise(say: Callable[[], None], error: Exception) -> None:
    raise error


def _hang(say: Callable[[], None], pause_s: float) -> None:
    while True:
        time.sleep(pause_s)
        say()


def _allocate_too_much(say: Callable[[], None]) -> None:
    """Run into a limit of this process's own."""
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + 2**26, resource.RLIM_INFINITY))
    bytearray(2**27)


def _fill_the_disk(say: Callable[[], None]) -> None:
    """No file of this process grows from now on; its next checkpoint fails."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def _keep_python_busy(say: Callable[[], None]) -> None:
    """Hold the interpreter's lock: no other thread of this process gets a turn."""
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(2 * BUSY_S)
    until_s = time.monotonic() + BUSY_S
    while time.monotonic() < until_s:
        pass
    sys.setswitchinterval(switch_s)


class ResourceExhaustedError(Exception):
    """Called like TensorFlow's, which is told by its name."""


class WrongWeights(Exception):
    """The watch would end the study."""


_ACCIDENTS: dict[str, Callable[[Callable[[], None]], object]] = {
    "kill": partial(_kill, number=signal.SIGKILL),
    "segfault": partial(_kill, number=signal.SIGSEGV),
    "exit": lambda say: os._exit(3),
    "error": partial(_raise, error=RuntimeError("an error on purpose")),
    "memory": partial(_raise, error=MemoryError("cannot allocate 12 GiB for the gradients")),
    "exhausted": partial(_raise, error=ResourceExhaustedError("OOM when allocating tensor with shape[8,256,200,336]")),
    "weights": partial(_raise, error=WrongWeights("before the first step the features are absurd; name other weights")),
    "allocate": _allocate_too_much,
    "full": _fill_the_disk,
    "busy": _keep_python_busy,
    "hang": partial(_hang, pause_s=3600.0),
    "stall": partial(_hang, pause_s=0.05),
}
