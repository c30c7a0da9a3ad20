"""The database is away: how often a worker tries again, and when it gives up. The one place that decides that.

Durations are taken from the monotonic clock, so a corrected wall clock neither shortens nor prolongs anyone's patience.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from search.faults.history import HistoryEvent, note
from storage.connection.errors import MachineBusy, StorageUnavailable

GIVE_UP_S = 600.0
_SHORTEST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """An outage that is over."""

    lasted_s: float
    ended_s: float  # by the monotonic clock


class Outage:
    """What the threads of one worker know of its database. After `give_up_s` of absence it sets the worker's `stop`.

    To find every connection of this machine in use is waited out in the same way, but is no outage: nobody is warned,
    and it is not among those survived.
    """

    def __init__(
        self,
        stop: threading.Event,
        *,
        give_up_s: float = GIVE_UP_S,
        meanwhile: str = "training goes on, results wait on disk",
    ) -> None:
        self._stop = stop
        self._meanwhile = meanwhile
        self._give_up_s = give_up_s
        self._lock = threading.Lock()
        self._since_s: float | None = None
        self._away = False  # not just busy
        self._ended_s = float("-inf")
        self.survived: list[Survived] = []  # in their order

    @property
    def on(self) -> bool:
        """Whether the last try failed. Who has somewhere else to go with a result doesn't try then."""
        return self._since_s is not None

    @property
    def since_last_s(self) -> float:
        """Seconds since the database came back the last time; infinite if it was never away."""
        return time.monotonic() - self._ended_s

    def met(self, error: StorageUnavailable) -> None:
        """Note a failed try; the worker stops when it has been like that for too long."""
        with self._lock:
            now = time.monotonic()
            first = self._since_s is None
            self._since_s = now if self._since_s is None else self._since_s
            lasts_s = now - self._since_s
            lost = not self._away and not isinstance(error, MachineBusy)
            self._away |= lost
        if first or lost:
            level = logging.WARNING if lost else logging.INFO
            logger.log(level, "%s; %s, for at most %g s", error, self._meanwhile, self._give_up_s)
        if lost:
            note(HistoryEvent.OUTAGE, detail=str(error))
        self._lose_patience(lasts_s)

    def over(self) -> None:
        """Note that the database answered."""
        with self._lock:
            if self._since_s is None:
                return
            self._ended_s = time.monotonic()
            lasted_s, self._since_s = self._ended_s - self._since_s, None
            was_away, self._away = self._away, False
            if was_away:
                self.survived.append(Survived(lasted_s=lasted_s, ended_s=self._ended_s))
        if not was_away:
            logger.info("a connection was free after %.1f s", lasted_s)
            return
        logger.warning("the database is back after %.1f s", lasted_s)
        note(HistoryEvent.BACK, detail=f"{lasted_s:.1f} s")

    def insist(self, call: Callable[[], Answer]) -> Answer:
        """What the call returns, as soon as the database lets it. The call must be one that may be repeated.

        It is not only an outage of everything that ends the patience: a full disk still lets heartbeats through.

        Raises:
            StorageUnavailable: it was away until the worker was stopped, or for too long.
        """
        pause_s = _SHORTEST_WAIT_S
        began_s = time.monotonic()
        while True:
            try:
                answer = call()
            except StorageUnavailable as error:
                self.met(error)
                self._lose_patience(time.monotonic() - began_s)
                if self._stop.wait(pause_s * random.uniform(0.5, 1.5)):  # uneven: workers don't come back in step
                    raise
                pause_s = min(_LONGEST_WAIT_S, 2 * pause_s)
            else:
                self.over()
                return answer

    def _lose_patience(self, lasts_s: float) -> None:
        if lasts_s >= self._give_up_s and not self._stop.is_set():
            logger.error("the database has been away for %.0f s: this worker leaves; start it later", lasts_s)
            self._stop.set()
