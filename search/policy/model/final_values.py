"""What trials would reach in full, told from the rungs that they have passed, and how surely.

From rung to rung the gain is a line in the value, fitted to the trials that were read at both: regressing the later on
the earlier reading is unbiased by the selection of who was promoted. Readings have known standard errors; where they
are 0, a trial that was read at the last rung is known exactly. Shapes: n trials, k rungs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

UNKNOWN_GAIN = 0.5  # sd of the gain to the next rung before anyone has gone there, in spreads of this one
PSEUDO_POINTS = 2.0  # that draw the gain's slope to 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finals:
    """Of each trial, in the readings' unit."""

    values: Array  # [n], expected at the last rung
    variances: Array  # [n], of them
    reading_variances: Array  # [n], the part of it that is error of the readings

    def first(self, count: int) -> "Finals":
        """Those of the first so many trials."""
        return Finals(
            values=self.values[:count],
            variances=self.variances[:count],
            reading_variances=self.reading_variances[:count],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How values go on to the next rung: v becomes v + gain + slope · (v - centre), give or take."""

    gain: float
    slope: float
    centre: float
    variance: float

    def carried(self, values: Array) -> Array:
        """The values [n] at the next rung."""
        return values + self.gain + self.slope * (values - self.centre)


def final_values(readings: Array, errors: Array) -> Finals:
    """Of trials whose readings [n, k] and their standard errors [n, k] are NaN from where they have stopped on."""
    values, variances = readings[:, 0].copy(), errors[:, 0] ** 2
    reading_variances = variances.copy()
    for k in range(readings.shape[1] - 1):
        line = line_between(readings[:, k], readings[:, k + 1], errors[:, k], errors[:, k + 1])
        values, variances = line.carried(values), variances * (1 + line.slope) ** 2 + line.variance
        reading_variances = reading_variances * (1 + line.slope) ** 2
        read = np.flatnonzero(~np.isnan(readings[:, k + 1]))
        error = errors[read, k + 1] ** 2
        share = variances[read] / (variances[read] + error)  # how far the reading is believed
        values[read] += share * (readings[read, k + 1] - values[read])
        variances[read] = share * error
        reading_variances[read] = variances[read]
    return Finals(values=values, variances=variances, reading_variances=reading_variances)


def line_between(earlier: Array, later: Array, earlier_errors: Array, later_errors: Array) -> Line:
    """The line from one rung to the next by the trials that were read at both."""
    spread = spread_of(earlier) or 1e-3
    prior = (UNKNOWN_GAIN * spread) ** 2
    both = ~np.isnan(later)
    count = int(both.sum())
    if count == 0:
        return Line(gain=0.0, slope=0.0, centre=0.0, variance=prior)
    x, gains = earlier[both], later[both] - earlier[both]
    centre = float(x.mean())
    off = x - centre
    slope = float((off * (gains - gains.mean())).sum() / ((off**2).sum() + PSEUDO_POINTS * spread**2))
    before, after = float((earlier_errors[both] ** 2).mean()), float((later_errors[both] ** 2).mean())
    residual = float(((gains - gains.mean() - slope * off) ** 2).sum()) - count * (after + (1 + slope) ** 2 * before)
    own = (max(residual, 0.0) + 0.75 * prior) / (count + 3) * (1 + 1 / count)
    return Line(gain=float(gains.mean()), slope=slope, centre=centre, variance=own + (after + before) / count)


def spread_of(values: Array) -> float:
    """From the median to the best of those that are there; 0 of fewer than two."""
    there = values[~np.isnan(values)]
    return float(max(there.max() - np.median(there), 1e-6)) if len(there) > 1 else 0.0
