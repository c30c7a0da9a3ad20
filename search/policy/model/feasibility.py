"""How likely a point is to work at all: a process on 1 for configurations that did, and 0 for those that cannot."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from search.policy.model.fitting import MOST_FITTED, Fits, evenly, milestone
from search.policy.model.gaussian_process import Posterior, Scales, posterior

Array = NDArray[np.float64]
Places = NDArray[np.intp]

MOST = 100  # points of each kind that it learns from
LOT = 32  # points that are judged together


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feasibility:
    """What points that worked and points that did not say of others."""

    model: Posterior
    usual: float  # the share that worked
    unit: float

    @classmethod
    def of(cls, worked: Array, failed: Array, scales: Scales) -> "Feasibility":
        """By points [w, d] and [f, d], some of each."""
        points, values, usual, unit = _labelled(worked, failed)
        return cls(model=posterior(points, values, np.zeros(len(values)), scales), usual=usual, unit=unit)

    def likelihood(self, places: Array) -> Array:
        """Of each of the places [m, d] to work, in [0, 1]."""
        result: Array = np.clip(self.usual + self.unit * self.model.mean(places), 0.0, 1.0)
        return result


def fitted_places(worked: int, failed: int) -> tuple[Places, Places]:
    """Which of so many of either kind, in the order of their trials, scales are fitted to, up to their milestones."""
    some_failed = evenly(milestone(failed, every=MOST_FITTED // 2), most=MOST_FITTED // 2)
    return evenly(milestone(worked, every=MOST_FITTED // 2), most=MOST_FITTED - len(some_failed)), some_failed


def feasibility_scales(worked: Array, failed: Array, fits: Fits) -> Scales:
    """Fitted to points [w, d] and [f, d]."""
    points, values, _, _ = _labelled(worked, failed)
    return fits.scales(points, values, np.zeros(len(values)))


def some_of(failed: Array, generator: Generator) -> Array:
    """At most `MOST` of the points [f, p]."""
    return failed if len(failed) <= MOST else failed[generator.choice(len(failed), MOST, replace=False)]


def most_promising(gain: Array, likelihood: Callable[[Places], Array]) -> int:
    """The place of the largest gain times likelihood; only those are judged whose gain is large enough for that."""
    falling = np.argsort(-gain, kind="stable")
    best, where = -1.0, int(falling[0])
    for first in range(0, len(falling), LOT):
        lot = falling[first : first + LOT]
        if gain[lot[0]] <= best:
            break
        expected = gain[lot] * likelihood(lot)
        if expected.max() > best:
            best, where = float(expected.max()), int(lot[np.argmax(expected)])
    return where


def _labelled(worked: Array, failed: Array) -> tuple[Array, Array, float, float]:
    """All points [w + f, d], 1 and 0 of them standardised [w + f], and by what."""
    works = np.concatenate([np.ones(len(worked)), np.zeros(len(failed))])
    usual, unit = float(works.mean()), float(works.std())
    return np.vstack([worked, failed]), (works - usual) / unit, usual, unit
