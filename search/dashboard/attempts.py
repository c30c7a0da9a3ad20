"""How often somebody may try a password: wrong ones make an address wait, longer each time."""

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

FREE = 5  # wrong passwords before anybody waits
LONGEST_WAIT_S = 60.0
MOST_ADDRESSES = 1000  # remembered

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last_s: float = 0.0


class Attempts:
    """Wrong passwords by address. An address that has to wait is not even asked: its right password waits, too."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, address: str) -> float:
        """For how many seconds this address still has to wait; 0 where it may try."""
        with self._lock:
            failures = self._failures.get(address)
            if failures is None or failures.count < FREE:
                return 0.0
            wait_s = min(LONGEST_WAIT_S, 2.0 ** (failures.count - FREE))
            return max(0.0, failures.last_s + wait_s - time.monotonic())

    def failed(self, address: str) -> None:
        """Note a wrong password."""
        with self._lock:
            failures = self._failures.setdefault(address, _Failures())
            self._failures.move_to_end(address)
            failures.count += 1
            failures.last_s = time.monotonic()
            while len(self._failures) > MOST_ADDRESSES:
                self._failures.popitem(last=False)
            count = failures.count
        logger.warning("a wrong password for the dashboard from %s, %d by now", address, count)

    def succeeded(self, address: str) -> None:
        """Note the right one."""
        with self._lock:
            self._failures.pop(address, None)
