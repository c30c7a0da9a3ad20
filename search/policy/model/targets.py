"""What the model learns from: finals on a scale that is wide among the best, with their variances."""

from dataclasses import dataclass, replace

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
    finals: Finals
    coarse: float  # the distance to the best, in the readings' unit, at which the scale's logarithm is 0
    middle: float  # of the values before they were standardised
    unit: float

    def reviewed(self, smoothed: Array) -> "Targets":
        """The same with errors as large as they are at the smoothed values [n]: at a lucky reading they look larger."""
        away = self.coarse * np.exp(-(smoothed * self.unit + self.middle))
        reading = np.minimum(self.finals.reading_variances / (away * self.unit) ** 2, MOST_VARIANCE)
        own = np.maximum(self.variances - self.reading_variances, 0.0)
        return replace(self, variances=own + reading, reading_variances=reading)


def targets_of(finals: Finals, *, last_error: float) -> Targets:
    """-log of the distance to the best, standardised; `last_error` is the standard error of a reading in full."""
    best, spread = finals.values.max(), max(float(finals.values.max() - np.median(finals.values)), 1e-9)
    coarse = float(np.hypot(COARSENESS * spread, ERRORS * last_error))
    away = best - finals.values + coarse
    raw = -np.log(away / coarse)
    unit = float(raw.std()) + 1e-9
    variances = finals.variances / (away * unit) ** 2
    capped = np.minimum(variances, MOST_VARIANCE)
    share = capped / np.maximum(variances, 1e-12)
    return Targets(
        values=(raw - raw.mean()) / unit,
        variances=capped,
        reading_variances=finals.reading_variances / (away * unit) ** 2 * share,
        finals=finals,
        coarse=coarse,
        middle=float(raw.mean()),
        unit=unit,
    )
