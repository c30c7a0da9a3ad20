"""Signals as values: the first asks to stop cleanly, the second to end at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # the last is Slurm's usual notice


@contextmanager
def stop_signals(at_once: Callable[[], None]) -> Iterator[threading.Event]:
    """An event that the first signal sets; the second calls `at_once`, within the signal handler.

    Only for the main thread. Earlier handlers are back after the block.
    """
    stop = threading.Event()
    signals: list[int] = []  # not the event: others may set that too, just before a first signal is handled

    def handle(number: int, frame: FrameType | None) -> None:
        signals.append(number)
        if len(signals) > 1:
            at_once()
        stop.set()

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
