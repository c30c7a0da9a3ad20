"""What a new point is expected to gain on the best, by itself and beside points that others are trying.

Expected improvement: Jones, Schonlau and Welch 1998, equation 15. Beside others, the mean of it over what these may
turn out to be (Snoek, Larochelle and Adams 2012, section 3.2): where they are good the best is better already, and so
is the mean near them. To take what is expected of them as if it had been read ("kriging believer") misses that.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr

from search.policy.model.gaussian_process import Posterior

Array = NDArray[np.float64]

PAIRS = 16  # of draws of what others may reach: each with its mirror image, so that their mean is the expected one
BELIEVED = 1e-2  # variance of such a reading


def improvement(mean: Array, sd: Array, *, best: float | Array) -> Array:
    """Expected improvement [..., m] on the best [..., 1] where the function has these means and standard deviations."""
    z = (mean - best) / sd
    result: Array = sd * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))
    return result


def improvement_beside(model: Posterior, pending: Array, places: Array, *, best: float, generator: Generator) -> Array:
    """Expected improvement [m] on the best at places [m, d] while those at [r, d] are tried elsewhere."""
    if not len(pending):
        return improvement(*model.predict(places), best=best)
    later = model.expecting(pending, BELIEVED)
    mean, sd, moves = later.predict_moves(places, len(pending))
    draws = generator.standard_normal((PAIRS, len(pending)))
    draws = np.vstack([draws, -draws])  # [s, r]
    reached = model.mean(pending) + draws @ later.factor[-len(pending) :, -len(pending) :].T  # [s, r]
    bests = np.maximum(best, reached.max(axis=1))[:, None]
    result: Array = improvement(mean + draws @ moves, sd, best=bests).mean(axis=0)
    return result
