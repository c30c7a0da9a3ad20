"""Why a trainer process is gone: what it left behind, classified without guessing.

A child that the kernel killed for memory looks like any other SIGKILL. It is called *out of memory* only with
evidence: a known phrase at the end of its standard error, or a counter of the kernel that rose while it lived.
"""

import errno
import signal
from dataclasses import dataclass
from pathlib import Path

from trial.outcome import Outcome
from trial.verdict import HUNG, Verdict

TAIL_LINES = 20
TAIL_CHARACTERS = 4000

_OUT_OF_MEMORY_PHRASES = (
    "resourceexhausted",
    "resource_exhausted",
    "out of memory",
    "out_of_memory",
    "memoryerror",
    "std::bad_alloc",
    "cannot allocate memory",
)
# TensorFlow logs allocations that it could do without in nearly the same words.
_HARMLESS_PHRASES = ("not a failure",)


_DISK_FULL_PHRASES = ("no space left on device", "file too large", "quota exceeded")  # also of libraries without errno
_DISK_FULL_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFull(Exception):
    """A trainer could not write a checkpoint or its cache; its trial goes on once there is room."""


class SetupFailed(Exception):
    """No trainer can be had, or none that could train here. `BAD_DATA` means that the user must change something."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(verdict.message)


class TrainerLost(Exception):
    """A trainer is of no use any more, and the worker still needed it."""


class TrainerDied(TrainerLost):
    """The trainer process ended although the worker still needed it."""

    def __init__(self, returncode: int, tail: tuple[str, ...] = (), *, killed_for_memory: bool = False) -> None:
        self.returncode = returncode
        self.tail = tail  # last lines of its standard error, oldest first
        self.killed_for_memory = killed_for_memory  # the kernel counted such a kill meanwhile
        super().__init__(f"the trainer ended with {self.ending}")

    @property
    def signal_name(self) -> str | None:
        """Name of the signal that killed it, or None when it exited."""
        return signal_name(self.returncode)

    @property
    def ending(self) -> str:
        return self.signal_name or f"exit code {self.returncode}"


class TrainerHung(TrainerLost):
    """The trainer process lives, but has come no further for too long (search/trainer/watchdog.py)."""

    def __init__(self, idle_s: float, tail: tuple[str, ...] = (), *, limit_s: float | None = None) -> None:
        self.idle_s = idle_s
        self.limit_s = limit_s  # what its pace allowed
        self.tail = tail
        allowed = "" if limit_s is None else f"; by its pace {limit_s:.0f} s were allowed"
        super().__init__(f"the trainer lives but has said nothing new for {idle_s:.0f} s{allowed}")


def signal_name(returncode: int) -> str | None:
    """Name of the signal that ended a process of that exit status, or None when it exited."""
    if returncode >= 0:
        return None
    try:
        return signal.Signals(-returncode).name
    except ValueError:  # real-time signals have no name
        return f"signal {-returncode}"


def says_out_of_memory(text: str) -> bool:
    """Whether a line of a log or an exception's text reports that memory ran out."""
    lowered = text.lower()
    return any(p in lowered for p in _OUT_OF_MEMORY_PHRASES) and not any(p in lowered for p in _HARMLESS_PHRASES)


def says_disk_full(error: BaseException) -> bool:
    """Whether an exception, or one that led to it, says that a disk or a quota is full."""
    if isinstance(error, OSError) and error.errno in _DISK_FULL_NUMBERS:
        return True
    if any(phrase in str(error).lower() for phrase in _DISK_FULL_PHRASES):
        return True
    origin = error.__cause__ or error.__context__
    return origin is not None and says_disk_full(origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a trial had come when its trainer was last heard of."""

    step: int = 0
    images: int = 0


def classify(death: TrainerLost, position: Position) -> Verdict:
    """The verdict on a trial whose trainer was lost: out of memory where that is proven, else crashed."""
    if not isinstance(death, TrainerDied | TrainerHung):
        return _verdict(Outcome.CRASHED, "protocol", str(death), position, {})
    evidence: dict[str, float | str] = {"stderr": "\n".join(death.tail)[-TAIL_CHARACTERS:]}
    if isinstance(death, TrainerHung):
        evidence["idle_s"] = death.idle_s
        if death.limit_s is not None:
            evidence["limit_s"] = death.limit_s
        return _verdict(Outcome.CRASHED, HUNG, f"{death}; it was ended", position, evidence)
    evidence["ending"] = death.ending
    if line := next((line for line in reversed(death.tail) if says_out_of_memory(line)), None):
        return _verdict(Outcome.OUT_OF_MEMORY, "process memory", line.strip()[:300], position, evidence)
    if death.killed_for_memory and death.returncode == -signal.SIGKILL:
        message = "the kernel killed the trainer because memory ran out"
        return _verdict(Outcome.OUT_OF_MEMORY, "host memory", message, position, evidence)
    cause = f"killed ({death.signal_name})" if death.signal_name else f"exit code {death.returncode}"
    return _verdict(Outcome.CRASHED, cause, str(death), position, evidence)


def _verdict(
    outcome: Outcome, cause: str, message: str, position: Position, evidence: dict[str, float | str]
) -> Verdict:
    return Verdict(
        outcome=outcome, cause=cause, message=message, step=position.step, images=position.images, evidence=evidence
    )


def count_memory_kills(root: Path = Path("/")) -> int | None:
    """How often the kernel has killed for memory in our control group (else on this machine), or None if unknown."""
    for path in (*_memory_event_files(root), root / "proc/vmstat"):
        try:
            fields = dict(line.split(maxsplit=1) for line in path.read_text().splitlines() if " " in line)
            return int(fields["oom_kill"])
        except (OSError, KeyError, ValueError):
            continue
    return None


def _memory_event_files(root: Path) -> list[Path]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    groups = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    return [root / "sys/fs/cgroup" / group / "memory.events" for group in groups]
