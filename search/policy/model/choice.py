"""Which point of a space is tried next: the largest expected improvement on the best, times how likely it is to work.

Expected improvement: Jones, Schonlau and Welch 1998, equation 15, on the posterior mean of the best in place of a value
that was read, because readings are noisy. Trials that have not been read yet count as what the model expects of them
("kriging believer", Ginsbourger et al. 2010), so that workers beside each other propose different points.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr

from search.policy.model.candidates import candidates
from search.policy.model.cube import Cube
from search.policy.model.final_values import final_values
from search.policy.model.gaussian_process import Posterior, Scales, fitted, posterior
from search.policy.model.targets import Targets, targets_of

Array = NDArray[np.float64]
Places = NDArray[np.intp]

MOST_BEST, MOST_OTHERS = 100, 200  # trials that the model learns from
MOST_FITTED = 64  # of them that its scales are fitted to: what a fit costs grows with the cube of it
BELIEVED = 1e-2  # variance of a trial that is believed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What is known of a study: shares of points by trial; n were read at one of k rungs at least."""

    read: Array  # [n, p]
    readings: Array  # [n, k], NaN from where they stopped on
    errors: Array  # [n, k], standard errors of them
    failed: Array  # [f, p], configurations that cannot work
    pending: Array  # [r, p], not read yet


def chosen(cube: Cube, evidence: Evidence, generator: Generator) -> Array:
    """The shares [p] of the point to try next."""
    belief = _believed(cube, evidence, generator)
    model = belief.expecting(cube.coordinates(evidence.pending))
    means = model.mean(belief.points)
    best_first = belief.known[np.argsort(-means, kind="stable")]
    offered = candidates(cube, evidence.read[best_first], generator)
    places = cube.coordinates(offered)
    gain = improvement(*model.predict(places), best=float(means.max()))
    gain *= _feasibility(belief.points, cube.coordinates(evidence.failed), places, generator)
    return offered[int(np.argmax(gain))]


def smoothed(cube: Cube, evidence: Evidence) -> Array:
    """What each of the trials is worth [n], the luck of its readings taken off; larger is better, without a unit."""
    return _believed(cube, evidence, None).smoothed


def improvement(mean: Array, sd: Array, *, best: float) -> Array:
    """Expected improvement [m] on the best at places with these means and standard deviations [m]."""
    z = (mean - best) / sd
    result: Array = sd * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))
    return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Belief:
    """The model of n trials, those at places `known` among all."""

    known: Places  # [n]
    points: Array  # [n, d]
    values: Array  # [n]
    variances: Array  # [n]
    reading_variances: Array  # [n]
    model: Posterior

    @property
    def smoothed(self) -> Array:
        """Posterior mean [n] of the function and of each trial's own quality: a value less what looks like error."""
        return self.values - self.reading_variances * self.model.weights

    def expecting(self, pending: Array) -> Posterior:
        """The model with what it expects at places [r, d] of trials that were not read yet, as if it had been read."""
        if not len(pending):
            return self.model
        values = np.concatenate([self.values, self.model.mean(pending)])
        variances = np.concatenate([self.variances, np.full(len(pending), BELIEVED)])
        return posterior(np.vstack([self.points, pending]), values, variances, self.model.scales)


def _believed(cube: Cube, evidence: Evidence, generator: Generator | None) -> _Belief:
    """The model of the trials, or with a generator of those that tell most."""
    finals = final_values(evidence.readings, evidence.errors)
    targets = targets_of(finals, last_error=_last_error(evidence.errors))
    everyone = np.arange(len(targets.values), dtype=np.intp)
    known = everyone if generator is None else _most_telling(targets.values, generator)
    points = cube.coordinates(evidence.read[known])
    some = _evenly(len(known))
    scales = fitted(points[some], targets.values[known][some], targets.variances[known][some])
    first = _belief(known, points, targets, scales)
    if not targets.reading_variances.any():
        return first
    values = targets.values.copy()
    values[known] = first.smoothed
    return _belief(known, points, targets.reviewed(values), scales)


def _belief(known: Places, points: Array, targets: Targets, scales: Scales) -> _Belief:
    values, variances = targets.values[known], targets.variances[known]
    return _Belief(
        known=known,
        points=points,
        values=values,
        variances=variances,
        reading_variances=targets.reading_variances[known],
        model=posterior(points, values, variances, scales),
    )


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


def _feasibility(worked: Array, failed: Array, places: Array, generator: Generator) -> Array:
    """How likely each of the places [m, d] is to work, in [0, 1]: a process on 1 for what did, 0 for what did not."""
    if not len(failed):
        return np.ones(len(places))
    most = MOST_BEST + MOST_OTHERS
    failed = failed if len(failed) <= most else failed[generator.choice(len(failed), most, replace=False)]
    points = np.vstack([worked, failed])
    works = np.concatenate([np.ones(len(worked)), np.zeros(len(failed))])
    usual, unit = works.mean(), works.std()
    values, exactly = (works - usual) / unit, np.zeros(len(works))
    some = _evenly(len(works))
    scales = fitted(points[some], values[some], exactly[some])
    mean = posterior(points, values, exactly, scales).mean(places)
    result: Array = np.clip(usual + unit * mean, 0.0, 1.0)
    return result


def _evenly(count: int) -> Places:
    """Places of at most `MOST_FITTED` of so many, evenly spread over all."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_FITTED)).round().astype(np.intp))
