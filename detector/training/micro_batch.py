"""How many images a step takes at once: what is fastest on this device, of what fits into its memory.

The batch size of a trial is a multiple of it, and k micro-batches equal one batch, so it is nobody's hyperparameter.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from detector.backend import ran_out_of_memory
from detector.config import ConfigError
from detector.json_text import read_json
from detector.whole_file import write_whole


def divisors(largest: int) -> list[int]:
    """Every micro-batch that divides what the largest divides, falling."""
    return [count for count in range(largest, 0, -1) if largest % count == 0]


def fastest(candidates: Sequence[int], seconds_an_image: Callable[[int], float]) -> int:
    """The candidate with the fewest seconds an image; they fall, and the search ends at the first that is slower.

    `seconds_an_image` raises what the device raises where a candidate does not fit.

    Raises:
        ConfigError: none fits.
    """
    best, best_s = 0, float("inf")
    for candidate in candidates:
        try:
            took_s = seconds_an_image(candidate)
        except Exception as error:
            if best or not ran_out_of_memory(error):
                raise
            continue
        if took_s >= best_s:
            break
        best, best_s = candidate, took_s
    return best or _none_fits(candidates)


def largest_that_fits(candidates: Sequence[int], attempt: Callable[[int], object]) -> int:
    """The first of the falling candidates whose attempt does not run out of memory: on a CPU that is the fastest, too.

    Raises:
        ConfigError: none fits.
    """
    for candidate in candidates:
        try:
            attempt(candidate)
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
        else:
            return candidate
    return _none_fits(candidates)


def _none_fits(candidates: Sequence[int]) -> NoReturn:
    raise ConfigError(
        f"a step must fit into the device's memory, but not even {candidates[-1]} image(s) at a time do; use a "
        "smaller detector.canvas, fewer detector.roi_samples, or detector.precision bfloat16"
    )


class Choices:
    """What was chosen on this host before, in a file that all its trainers share."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> int | None:
        """The choice of that name, or None where there is none yet."""
        found = self._read().get(key)
        return found if isinstance(found, int) and found >= 1 else None

    def keep(self, key: str, micro_batch: int) -> None:
        """Add a choice; of two trainers that measure at the same time the last one's stands."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._path, json.dumps({**self._read(), key: micro_batch}, indent=1))

    def _read(self) -> dict[str, object]:
        try:
            read = read_json(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return read if isinstance(read, dict) else {}
