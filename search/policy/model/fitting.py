"""To what, and how often, the scales of a process are fitted: a function of the history alone, remembered by a worker.

While there are few points, scales are fitted to all of them at each proposal. From then on they are fitted to the first
80, 100, 125, … trials, however many there are since, and to at most `MOST_FITTED` of them: what a fit costs grows with
the cube of it.
"""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from search.policy.model.gaussian_process import Scales, fitted

Array = NDArray[np.float64]
Places = NDArray[np.intp]

MOST_FITTED = 64
GROWTH = 1.25  # from one fit to the next
REMEMBERED = 4  # a study has two processes


class Fits:
    """Scales by what they were fitted to. Who has forgotten them fits them again and comes to the same."""

    def __init__(self) -> None:
        self._known: dict[bytes, Scales] = {}

    def scales(self, points: Array, values: Array, variances: Array) -> Scales:
        """The likeliest scales of values [n] at points [n, d]."""
        key = blake2b(b"".join(each.tobytes() for each in (points, values, variances))).digest()
        scales = self._known.pop(key, None) or fitted(points, values, variances)
        self._known[key] = scales  # the last used stands last
        while len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        return scales


def milestone(count: int, *, every: int = MOST_FITTED) -> int:
    """Of so many the first ones that scales are fitted to: all up to `every`, then a quarter more each time."""
    reached = every
    while (following := max(reached + 1, int(reached * GROWTH))) <= count:
        reached = following
    return min(count, reached)


def evenly(count: int, *, most: int = MOST_FITTED) -> Places:
    """Places of at most `most` of so many, evenly spread over all."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.intp))
