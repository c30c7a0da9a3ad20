"""How likely training is to diverge at a learning rate, judged by trials that did and trials that did not.

    log-odds = steepness · (log10 rate + scaling · log10(batch / 16) - boundary)

A logistic model whose three parameters are not fitted but averaged over: each combination on a grid counts as much as
the trials make it likely. So a few trials say little, and contradicting ones (other parameters decide too) make the
boundary soft. `scaling` is 0 where the rate per 16 images decides whatever the batch, 1 where the step's own does.

K kinds of trials (alike to a tenth of a decade, so that any number of trials is few kinds), G combinations.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spaces.anchor_fit import Floats

BOUNDARIES = np.arange(-8.0, 3.01, 0.1)  # log10 of a rate per 16 images
STEEPNESSES = np.array([2.0, 4.0, 8.0, 16.0])  # per decade; at 4 the odds turn from 1:9 to 9:1 within 1.1 decades
SCALINGS = np.array([0.0, 0.5, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A trial's learning rate per 16 images, and whether its losses exploded."""

    rate_per_16: float
    batch_size: int
    diverged: bool


def divergence_risk(tried: Iterable[Tried], *, rate_per_16: float, batch_size: int) -> float:
    """The probability of divergence at a rate, in (0, 1), after trials of the same optimizer.

    Before any trial each boundary of the grid is as likely as another, which says nothing: ask where one has diverged.
    """
    kinds = Counter((_tenth(each.rate_per_16), _tenth(each.batch_size / 16), each.diverged) for each in tried)
    log_rates, log_batches, diverged = np.array([*kinds], dtype=np.float64).reshape(-1, 3).T
    against = np.logaddexp(0.0, np.where(diverged, -1.0, 1.0) * _log_odds(log_rates, log_batches))  # [G, K]
    log_likelihood = -against @ np.array([*kinds.values()])  # [G]
    weight = np.exp(log_likelihood - log_likelihood.max())
    risk = 1.0 / (1.0 + np.exp(-_log_odds(np.log10([rate_per_16]), np.log10([batch_size / 16]))[:, 0]))  # [G]
    return float(risk @ weight / weight.sum())


def _tenth(number: float) -> float:
    return round(math.log10(number), 1)


def _log_odds(log_rates: Floats, log_batches: Floats) -> Floats:
    """[G, K] for log10 of rates per 16 images [K] and of batch sizes / 16 [K]."""
    boundary, steepness, scaling = (
        each.ravel()[:, None] for each in np.meshgrid(BOUNDARIES, STEEPNESSES, SCALINGS, indexing="ij")
    )
    return np.asarray(steepness * (log_rates + scaling * log_batches - boundary))
