"""Two formulations of the same thing, compiled and called in turn on the same arrays."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from detector.backend import Compiled, to_device, to_host

Formulation = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """Seconds of each call, in pairs, and what each gave in the end."""

    first_s: tuple[float, ...]
    second_s: tuple[float, ...]
    first: np.ndarray
    second: np.ndarray

    @property
    def ratio(self) -> float:
        """The second's seconds over the first's: median of the pairs."""
        return median(theirs / ours for ours, theirs in zip(self.first_s, self.second_s, strict=True))


def duel(first: Formulation, second: Formulation, arrays: dict[str, Any], *, pairs: int) -> Duel:
    """Call both so many times after their compilation; both take `arrays` as one argument and give one tensor."""
    placed = {name: to_device(value) for name, value in arrays.items()}
    both = (Compiled(first), Compiled(second))
    given = [to_host(one(placed)) for one in both]
    took_s: tuple[list[float], list[float]] = ([], [])
    for _ in range(pairs):
        for side, one in enumerate(both):
            began_s = time.perf_counter()
            given[side] = to_host(one(placed))
            took_s[side].append(time.perf_counter() - began_s)
    return Duel(first_s=tuple(took_s[0]), second_s=tuple(took_s[1]), first=given[0], second=given[1])
