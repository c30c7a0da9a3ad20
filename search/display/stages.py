"""What somebody is busy with, and since when: a stage such as `decoding images, 20 of 87` lasts while only its count
changes."""

import time
from collections.abc import Callable

from search.display.duration import clock_text


def stage_of(doing: str) -> str:
    """The stage without how far it is."""
    return doing.partition(",")[0]


class Stages:
    """The current stage of each of several who work."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, tuple[str, float]] = {}  # stage and when it was first seen

    def begins(self, who: str, doing: str) -> bool:
        """Note what somebody does; whether that is another stage than the last one."""
        stage = stage_of(doing)
        if self._since.get(who, ("", 0.0))[0] == stage:
            return False
        self._since[who] = stage, self._clock()
        return bool(stage)

    def elapsed(self, who: str) -> str:
        """How long the current stage has lasted."""
        return clock_text(self._clock() - self._since[who][1])
