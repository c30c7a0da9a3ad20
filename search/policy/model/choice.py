"""Which point of a space is tried next: the largest expected improvement on the best, times how likely it is to work.

The best is the posterior mean of the best in place of a value that was read, because readings are noisy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from search.policy.model.candidates import candidates
from search.policy.model.cube import Cube
from search.policy.model.feasibility import (
    MOST,
    Feasibility,
    feasibility_scales,
    fitted_places,
    most_promising,
    some_of,
)
from search.policy.model.final_values import final_values
from search.policy.model.fitting import Fits, evenly, milestone
from search.policy.model.gaussian_process import Posterior, Scales, kernel, posterior
from search.policy.model.improvement import improvement_beside
from search.policy.model.targets import Targets, targets_of

Array = NDArray[np.float64]
Places = NDArray[np.intp]

MOST_BEST, MOST_OTHERS = 100, 100  # trials that the model learns from


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What is known of a study: shares of points by trial; n were read at one of k rungs at least."""

    read: Array  # [n, p]
    readings: Array  # [n, k], NaN from where they stopped on
    errors: Array  # [n, k], standard errors of them
    failed: Array  # [f, p], configurations that cannot work
    pending: Array  # [r, p], not read yet


def chosen(cube: Cube, evidence: Evidence, generator: Generator, fits: Fits) -> Array:
    """The shares [p] of the point to try next; what the study's `fits` hold spares time and changes nothing."""
    belief = _believed(cube, evidence, fits, generator)
    means = belief.means
    best_first = belief.known[np.argsort(-means, kind="stable")]
    offered = candidates(cube, evidence.read[best_first], generator)
    places, pending = cube.coordinates(offered), cube.coordinates(evidence.pending)
    gain = improvement_beside(belief.model, pending, places, best=float(means.max()), generator=generator)
    if not len(evidence.failed):
        return offered[int(np.argmax(gain))]
    feasibility = _feasibility(cube, evidence, belief, fits, generator)
    return offered[most_promising(gain, lambda some: feasibility.likelihood(places[some]))]


def smoothed(cube: Cube, evidence: Evidence, fits: Fits) -> Array:
    """What each of the trials is worth [n], the luck of its readings taken off; larger is better, without a unit."""
    return _believed(cube, evidence, fits, None).smoothed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Belief:
    """The model of n trials, those at places `known` among all."""

    known: Places  # [n]
    points: Array  # [n, d]
    values: Array  # [n]
    reading_variances: Array  # [n]
    model: Posterior

    @property
    def means(self) -> Array:
        """Posterior mean [n] of the function at the points."""
        return self.values - self.model.own_variances * self.model.weights

    @property
    def smoothed(self) -> Array:
        """Posterior mean [n] of the function and of each trial's own quality: a value less what looks like error."""
        return self.values - self.reading_variances * self.model.weights


def _believed(cube: Cube, evidence: Evidence, fits: Fits, generator: Generator | None) -> _Belief:
    """The model of the trials, or with a generator of those that tell most."""
    targets = _targets(evidence.readings, evidence.errors)
    everyone = np.arange(len(targets.values), dtype=np.intp)
    known = everyone if generator is None else _most_telling(targets.values, generator)
    points = cube.coordinates(evidence.read[known])
    scales = _scales(cube, evidence, fits)
    covariance = kernel(points, points, scales)

    def belief(targets: Targets) -> _Belief:
        values, variances = targets.values[known], targets.variances[known]
        return _Belief(
            known=known,
            points=points,
            values=values,
            reading_variances=targets.reading_variances[known],
            model=posterior(points, values, variances, scales, covariance=covariance),
        )

    first = belief(targets)
    if not targets.reading_variances.any():
        return first
    values = targets.values.copy()
    values[known] = first.smoothed
    return belief(targets.reviewed(values))


def _targets(readings: Array, errors: Array) -> Targets:
    return targets_of(final_values(readings, errors), last_error=_last_error(errors))


def _scales(cube: Cube, evidence: Evidence, fits: Fits) -> Scales:
    """Fitted to the first trials, as far as the last milestone, by what is known of these alone."""
    among = evenly(milestone(len(evidence.read)), most=MOST_BEST + MOST_OTHERS)
    targets = _targets(evidence.readings[among], evidence.errors[among])
    some = np.argsort(-targets.values, kind="stable")[evenly(len(among))]
    return fits.scales(cube.coordinates(evidence.read[among[some]]), targets.values[some], targets.variances[some])


def _last_error(errors: Array) -> float:
    """The standard error of a reading at the highest rung that any trial was read at."""
    there = ~np.isnan(errors)
    highest = int(np.flatnonzero(there.any(axis=0))[-1])
    return float(errors[there[:, highest], highest].mean())


def _most_telling(values: Array, generator: Generator) -> Places:
    """Places of the trials that the model learns from: all, or the best and some others."""
    order = np.argsort(-values, kind="stable")
    if len(order) <= MOST_BEST + MOST_OTHERS:
        return order
    others = generator.choice(order[MOST_BEST:], size=MOST_OTHERS, replace=False)
    return np.concatenate([order[:MOST_BEST], others])


def _feasibility(cube: Cube, evidence: Evidence, belief: _Belief, fits: Fits, generator: Generator) -> Feasibility:
    worked, failed = fitted_places(len(evidence.read), len(evidence.failed))
    scales = feasibility_scales(
        cube.coordinates(evidence.read[worked]), cube.coordinates(evidence.failed[failed]), fits
    )
    return Feasibility.of(belief.points[:MOST], cube.coordinates(some_of(evidence.failed, generator)), scales)
