"""Keeps a lease alive while its trial trains, from a thread of the worker's own.

The trainer cannot starve it: it is another process. A database that is away for a moment does not end it: it tries
again until the lease itself says that it is lost.
"""

import logging
import threading
from collections.abc import Callable
from types import TracebackType

from storage.connection.errors import LeaseLost

LEAVE_S = 2.0  # a beat that waits for a silent database is left behind

logger = logging.getLogger(__name__)


class Heartbeat:
    """Context manager that calls `beat` at once and every `interval_s`, in a thread, until it raises `LeaseLost`."""

    def __init__(self, beat: Callable[[], object], *, interval_s: float) -> None:
        self._beat = beat
        self._interval_s = interval_s
        self._over = threading.Event()
        self._lost: LeaseLost | None = None
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def check(self) -> None:
        """Raise the `LeaseLost` that the thread met, if it met one."""
        if self._lost is not None:
            raise self._lost

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(LEAVE_S)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._beat()
            except LeaseLost as lost:
                self._lost = lost
                return
            except Exception:  # whatever the database says: the lease is ours until it runs out
                logger.warning("a heartbeat failed; the next one follows in %.1f s", self._interval_s, exc_info=True)
            self._over.wait(self._interval_s)
