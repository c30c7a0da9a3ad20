"""A clock for threads that pretend to work: one of them runs at a time, and while all sleep the time is moved on."""

import heapq
import itertools
import threading
from collections.abc import Callable, Sequence


class TimeIsUp(Exception):
    """The time that was given is over."""


class VirtualTime:
    """Seconds since the begin. What the threads do takes none, unless they sleep; the order is always the same."""

    def __init__(self, limit_s: float) -> None:
        self.now_s = 0.0
        self._limit_s = limit_s
        self._due: list[tuple[float, int, int]] = []  # when, in which order, which thread
        self._order = itertools.count()
        self._condition = threading.Condition()
        self._turn: int | None = None

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Carry out all of them until each has ended or the time is up.

        Raises:
            Exception: what one of them raised.
        """
        errors: list[BaseException] = []
        threads = [
            threading.Thread(target=self._carry_out, args=(number, task, errors)) for number, task in enumerate(tasks)
        ]
        for number in range(len(tasks)):
            heapq.heappush(self._due, (0.0, next(self._order), number))
        for thread in threads:
            thread.start()
        with self._condition:
            self._next()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def sleep(self, seconds: float) -> None:
        """Let so much time pass.

        Raises:
            TimeIsUp: it would be over before.
        """
        with self._condition:
            me = self._turn
            assert me is not None  # who calls this has the turn
            heapq.heappush(self._due, (self.now_s + seconds, next(self._order), me))
            self._next()
            self._condition.wait_for(lambda: self._turn == me)
        if self.now_s > self._limit_s:
            raise TimeIsUp

    def idle(self) -> None:
        """Sleep until another thread has done something.

        Raises:
            TimeIsUp: as `sleep`; also where no other thread will ever do anything.
        """
        with self._condition:
            others = self._due[0][0] if self._due else self._limit_s + 1
        self.sleep(max(0.0, others - self.now_s))

    def _carry_out(self, number: int, task: Callable[[], None], errors: list[BaseException]) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._turn == number)
        try:
            task()
        except TimeIsUp:
            pass
        except BaseException as error:
            errors.append(error)
        finally:
            with self._condition:
                self._next()

    def _next(self) -> None:
        if self._due:
            due_s, _, self._turn = heapq.heappop(self._due)
            self.now_s = max(self.now_s, due_s)
        else:
            self._turn = None
        self._condition.notify_all()


class IdleEvent(threading.Event):
    """An event that is never set; who waits for it lets others work."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time

    def wait(self, timeout: float | None = None) -> bool:
        self._time.idle()
        return False
