"""The workers of one launch: started, looked after, and ended together."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from search.engines.handle import Left, Seat
from search.exit_codes import ExitCode

LEAVE_LIMIT_S = 20.0  # a worker pauses its trainer within 10 s
POLL_S = 0.05
SETTLED_S = 60.0  # a machine that held so long was no mistake: whatever took it, the worker starts again
MOST_QUICK_LOSSES = 5  # in a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """How the crew's work ended: one exit code for all, and what its members had to say."""

    code: int
    messages: tuple[str, ...]


@dataclass(slots=True)
class _Post:
    number: int
    seat: Seat
    began_s: float = field(default_factory=time.monotonic)
    left: Left | None = None
    quick_losses: int = 0


class Crew:
    """So many workers, started by `start` with their numbers from 1 on; `say` tells the user of losses.

    A worker that is lost with its machine is started again, elsewhere; its trial goes to whoever claims it first. Only
    one that is lost again and again within a minute is given up, so that preemption uses up no budget.
    """

    def __init__(self, start: Callable[[int], Seat], *, workers: int, say: Callable[[str], None]) -> None:
        self._start = start
        self._say = say
        self._posts = [_Post(number, start(number)) for number in range(1, workers + 1)]

    def tend(self) -> bool:
        """Look after the workers. Returns whether one still works, and none has found that the user must act."""
        for post in self._posts:
            self._look(post)
            if post.left is not None and post.left.code is None:
                self._replace(post, post.left)
        codes = [post.left.code if post.left else None for post in self._posts]
        return None in codes and ExitCode.USER_MUST_ACT not in codes

    def stop(self) -> None:
        """Ask every worker to stop cleanly."""
        for post in self._posts:
            post.seat.stop()

    def hurry(self) -> None:
        """After `stop`: ask them to end at once. May be called in a signal handler."""
        for post in self._posts:
            post.seat.hurry()

    def leave(self, *, complete: Callable[[], bool]) -> Departure:
        """Wait for every worker, ending those that take too long. `complete` says whether the study has its trials."""
        deadline = time.monotonic() + LEAVE_LIMIT_S
        while time.monotonic() < deadline and not all(self._look(post) for post in self._posts):
            time.sleep(POLL_S)
        for post in self._posts:
            if not self._look(post):
                post.seat.kill()
                post.left = post.seat.poll()
        ends = [post.left or Left(code=ExitCode.BUG) for post in self._posts]
        codes = [ExitCode.TRY_LATER if end.code is None else end.code for end in ends]
        messages = dict.fromkeys(end.said for end in ends if end.said)
        return Departure(code=_together(codes, complete), messages=tuple(messages))

    def _look(self, post: _Post) -> bool:
        """Whether that worker has left."""
        post.left = post.left or post.seat.poll()
        return post.left is not None

    def _replace(self, post: _Post, lost: Left) -> None:
        quick = time.monotonic() - post.began_s < SETTLED_S
        post.quick_losses = post.quick_losses + 1 if quick else 0
        post.seat.kill()
        if post.quick_losses > MOST_QUICK_LOSSES:
            post.left = replace(lost, code=ExitCode.BUG)
            return
        self._say(f"worker {post.number} was lost: {lost.said}; it is started again elsewhere")
        post.seat, post.left, post.began_s = self._start(post.number), None, time.monotonic()


def _together(codes: list[int], complete: Callable[[], bool]) -> int:
    """One exit code for all: a trial that one worker lost may have been finished by another."""
    if ExitCode.USER_MUST_ACT in codes:
        return ExitCode.USER_MUST_ACT
    if complete():
        return ExitCode.DONE
    return ExitCode.TRY_LATER if set(codes) <= {ExitCode.DONE, ExitCode.TRY_LATER} else ExitCode.BUG
