"""The workers of one launch: started, looked after, and ended together."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from search.engines.handle import WorkerExit, WorkerHandle
from search.exit_codes import ExitCode

LEAVE_LIMIT_S = 20.0  # a worker pauses its trainer within 10 s
POLL_S = 0.05
SETTLED_S = 60.0  # a machine that held so long was no mistake: whatever took it, the worker starts again
MOST_QUICK_LOSSES = 5  # in a row
BACK_OFF_S = 1.0  # before the second quick start in a row, and twice as long before each next one


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolExit:
    """How a pool of workers ended: one exit code for all, and what they had to say."""

    code: ExitCode
    messages: tuple[str, ...]


@dataclass(slots=True)
class _Member:
    number: int
    handle: WorkerHandle
    began_s: float = field(default_factory=time.monotonic)
    exit: WorkerExit | None = None
    quick_losses: int = 0
    again_s: float | None = None  # when one that was lost is started again


class WorkerPool:
    """So many workers, started by `start` with their numbers from 1 on; `say` tells the user of losses.

    A worker that is lost, with its machine or to a signal, is started again; its trial goes to whoever claims it first.
    Only one that is lost again and again within a minute is given up, so that preemption uses up no budget.
    """

    def __init__(self, start: Callable[[int], WorkerHandle], *, workers: int, say: Callable[[str], None]) -> None:
        self._start = start
        self._say = say
        self._members = [_Member(number, start(number)) for number in range(1, workers + 1)]

    def supervise(self) -> bool:
        """Look after the workers. Returns whether one still works, and none has found that the user must act."""
        for member in self._members:
            self._look(member)
            if member.exit is not None and member.exit.code is None:
                self._replace(member, member.exit)
            elif member.exit is not None and member.exit.code == ExitCode.TRY_LATER and member.exit.said:
                self._say(f"worker {member.number} left: {member.exit.said}")
                member.exit = replace(member.exit, said="")
        codes = [member.exit.code if member.exit else None for member in self._members]
        return None in codes and ExitCode.USER_MUST_ACT not in codes

    def stop(self) -> None:
        """Ask every worker to stop cleanly."""
        for member in self._members:
            member.handle.stop()

    def interrupt(self) -> None:
        """After `stop`: ask them to end at once. May be called in a signal handler."""
        for member in self._members:
            member.handle.interrupt()

    def leave(self, *, complete: Callable[[], bool]) -> PoolExit:
        """Wait for every worker, ending those that take too long. `complete` says whether the study has its trials."""
        deadline = time.monotonic() + LEAVE_LIMIT_S
        while time.monotonic() < deadline and not all(self._look(member) for member in self._members):
            time.sleep(POLL_S)
        for member in self._members:
            if not self._look(member):
                member.handle.kill()
                member.exit = member.handle.poll()
        ends = [member.exit or WorkerExit(code=ExitCode.BUG) for member in self._members]
        codes = [ExitCode.TRY_LATER if end.code is None else end.code for end in ends]
        messages = dict.fromkeys(end.said for end in ends if end.said)
        return PoolExit(code=_together(codes, complete), messages=tuple(messages))

    def _look(self, member: _Member) -> bool:
        """Whether that worker has left."""
        member.exit = member.exit or member.handle.poll()
        return member.exit is not None

    def _replace(self, member: _Member, lost: WorkerExit) -> None:
        """Start a worker that was lost again: at once, or a while later where it is lost quickly each time."""
        now_s = time.monotonic()
        if member.again_s is None:
            member.handle.kill()
            member.quick_losses = member.quick_losses + 1 if now_s - member.began_s < SETTLED_S else 0
            if member.quick_losses > MOST_QUICK_LOSSES:
                said = f"worker {member.number} was lost {member.quick_losses} times in a row: {lost.said}"
                member.exit = WorkerExit(code=ExitCode.BUG, said=said)
                return
            wait_s = BACK_OFF_S * 2 ** (member.quick_losses - 2) if member.quick_losses > 1 else 0.0
            member.again_s = now_s + wait_s
            when = f" in {wait_s:g} s" if wait_s else ""
            self._say(f"worker {member.number} was lost: {lost.said}; it is started again{when}")
        if now_s >= member.again_s:
            member.handle, member.exit, member.again_s = self._start(member.number), None, None
            member.began_s = now_s


def _together(codes: list[int], complete: Callable[[], bool]) -> ExitCode:
    """One exit code for all: a trial that one worker lost may have been finished by another."""
    if ExitCode.USER_MUST_ACT in codes:
        return ExitCode.USER_MUST_ACT
    if complete():
        return ExitCode.DONE
    return ExitCode.TRY_LATER if set(codes) <= {ExitCode.DONE, ExitCode.TRY_LATER} else ExitCode.BUG
