"""What the model learns from: finals on a scale that is wide among the best, with their variances."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.policy.model.final_values import Finals

Array = NDArray[np.float64]

COARSENESS = 0.1  # of the spread from the median to the best: nearer to the best the scale is linear
ERRORS = 2.0  # standard errors of a reading in full, below which differences say nothing
MOST_VARIANCE = 4.0  # of a target, which has unit spread


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Targets:
    """Of each trial; mean 0 and spread 1."""

    values: Array  # [n]
    variances: Array  # [n]
    reading_variances: Array  # [n], the part of them that is error of the readings


def targets_of(finals: Finals, *, last_error: float) -> Targets:
    """-log of the distance to the best, standardised; `last_error` is the standard error of a reading in full."""
    best, spread = finals.values.max(), max(float(finals.values.max() - np.median(finals.values)), 1e-9)
    coarse = float(np.hypot(COARSENESS * spread, ERRORS * last_error))
    away = best - finals.values + coarse
    raw = -np.log(away / coarse)
    unit = raw.std() + 1e-9
    variances = finals.variances / (away * unit) ** 2
    capped = np.minimum(variances, MOST_VARIANCE)
    share = capped / np.maximum(variances, 1e-12)
    return Targets(
        values=(raw - raw.mean()) / unit,
        variances=capped,
        reading_variances=finals.reading_variances / (away * unit) ** 2 * share,
    )
