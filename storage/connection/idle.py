"""A pool that closes its connections when nobody has used them for a moment.

A worker needs its database for some milliseconds every few seconds, but then for a hundred short transactions at once,
when it begins a trial: a connection for each would cost more than the transactions, one kept for good would hold a
place on the server for nothing.
"""

import threading
import time
from typing import Any

from sqlalchemy import QueuePool
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util.queue import Empty

IDLE_S = 0.1


class BriefPool(QueuePool):
    """Keeps connections for `IDLE_S` after the last one was given back, then none."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lock = threading.Lock()
        self._used_at_s = 0.0
        self._watched = False

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        with self._lock:
            self._used_at_s = time.monotonic()
            watched, self._watched = self._watched, True
        if not watched:
            self._look_in(IDLE_S)

    def _look_in(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self._look)
        timer.name, timer.daemon = "idle connections", True
        timer.start()

    def _look(self) -> None:
        with self._lock:
            left_s = self._used_at_s + IDLE_S - time.monotonic()
            self._watched = left_s > 0
        if left_s > 0:
            self._look_in(left_s)
        else:
            self._close_all()

    def _close_all(self) -> None:
        """Close those that are in the pool, as it does itself with one too many; who is at work keeps his own."""
        while True:
            try:
                record = self._pool.get(block=False)
            except Empty:
                return
            try:
                record.close()
            finally:
                self._dec_overflow()
