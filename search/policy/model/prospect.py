"""What more trials are likely to bring: how much larger the best final gets, in the readings' own unit.

A process on the finals themselves, and not on their logarithms as proposals have it: these say nothing of how far
beyond the best one may get. Functions are drawn from its posterior at the places of the largest expected improvement
(Rasmussen and Williams 2006, appendix A.2), each with all of them, so that places beside each other count once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from search.policy.model.candidates import candidates
from search.policy.model.choice import Evidence
from search.policy.model.cube import Cube
from search.policy.model.final_values import Finals, final_values
from search.policy.model.fitting import evenly
from search.policy.model.gaussian_process import Posterior, fitted, kernel, posterior
from search.policy.model.improvement import improvement

Array = NDArray[np.float64]

DRAWS = 256
MOST_KNOWN = 200  # trials that the process learns from
MOST_PLACES = 100  # that are tried at once in thought
FEWEST_READ = 5
MOST_LOOKS_BACK = 4
JITTER = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What so many more trials are likely to add to the best value."""

    trials: int
    gain: float


def prospect(cube: Cube, evidence: Evidence, *, trials: int, generator: Generator) -> Prospect | None:
    """What is to be expected of so many more trials; None where too little was read, or all is equal.

    In many dimensions a process promises too much. So it is asked what it would have promised of the trials before, by
    those before them, and is believed as far as that came.

    Raises:
        LinAlgError: points so alike that rounding leaves no covariance.
    """
    finals = final_values(evidence.readings, evidence.errors) if len(evidence.read) >= FEWEST_READ else None
    if finals is None or trials < 1 or finals.values.std() == 0:
        return None
    promise = _promise(cube, evidence.read, finals, trials, generator)
    came, promised = promise, promise
    for count in range(len(evidence.read) - trials, FEWEST_READ - 1, -trials)[:MOST_LOOKS_BACK]:
        best, later = finals.values[:count].max(), finals.values[: count + trials].max()
        came += max(0.0, float(later - best))
        promised += _promise(cube, evidence.read[:count], finals.first(count), trials, generator)
    return Prospect(trials=trials, gain=promise * min(1.0, came / promised) if promised else 0.0)


def _promise(cube: Cube, read: Array, finals: Finals, trials: int, generator: Generator) -> float:
    """What the process on these points promises."""
    unit = float(finals.values.std())
    if unit == 0:
        return 0.0
    best_first = np.argsort(-finals.values, kind="stable")
    known = best_first[evenly(len(best_first), most=MOST_KNOWN)]
    points = cube.coordinates(read[known])
    values, variances = (finals.values[known] - finals.values.mean()) / unit, finals.variances[known] / unit**2
    some = evenly(len(known))
    model = posterior(points, values, variances, fitted(points[some], values[some], variances[some]))
    means = values - model.own_variances * model.weights  # the posterior's at the points
    places = cube.coordinates(candidates(cube, read[known[np.argsort(-means, kind="stable")]], generator))
    promising = np.argsort(-improvement(*model.predict(places), best=float(means.max())), kind="stable")
    tried = places[promising[: min(trials, MOST_PLACES)]]
    drawn = _drawn(model, np.vstack([points[[int(np.argmax(means))]], tried]), generator)
    return unit * float(np.maximum(drawn[:, 1:].max(axis=1) - drawn[:, 0], 0.0).mean())


def _drawn(model: Posterior, places: Array, generator: Generator) -> Array:
    """Values [DRAWS, m] at places [m, d] of functions as the model believes them."""
    across = kernel(places, model.points, model.scales)
    explained = solve_triangular(model.factor, across.T, lower=True, check_finite=False)
    covariance = kernel(places, places, model.scales) - explained.T @ explained
    covariance[np.diag_indices_from(covariance)] += JITTER + 1e-6 * model.scales.amplitude
    factor = cholesky(covariance, lower=True, check_finite=False)
    drawn: Array = across @ model.weights + generator.standard_normal((DRAWS, len(places))) @ factor.T
    return drawn
