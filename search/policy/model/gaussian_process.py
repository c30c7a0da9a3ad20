"""A small Gaussian process: Matérn 5/2 with a length scale for each coordinate, and noise that is known point by point.

Formulas: Rasmussen and Williams 2006, chapters 2 (prediction), 4 (Matérn) and 5 (marginal likelihood and its gradient).
Shapes: n points, d coordinates, m places to predict at. Everything is a function of its arguments: a fit always begins
at the same scales, so that every worker comes to the same proposal from the same history.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular

Array = NDArray[np.float64]

# Logarithms of what is believed before any data, for coordinates in [0, 1] and values of unit spread: mean and sd
LENGTH_PRIOR = (np.log(0.8), 0.8)
AMPLITUDE_PRIOR = (0.0, 1.0)
NOISE_PRIOR = (np.log(1e-3), 1.5)
START = (np.log(0.6), 0.0, np.log(1e-2))  # of each length scale, the amplitude and the noise
BOUNDS = ((np.log(0.03), np.log(20.0)), (-4.0, 4.0), (np.log(1e-6), 1.0))
JITTER = 1e-6
MOST_ITERATIONS = 12
BAND = 64  # rows of a kernel that are worked out together, so that they stay in the processor's cache
HOPELESS = 1e10  # in place of a likelihood where the covariance has no Cholesky factor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scales:
    """What the process takes the function to be like."""

    lengths: Array  # [d]
    amplitude: float  # variance of the function
    noise: float  # variance of a point's own quality, which its coordinates don't tell


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """What is known of the function after the points."""

    points: Array  # [n, d]
    scales: Scales
    factor: Array  # [n, n], lower Cholesky factor of the covariance of the values
    weights: Array  # [n], covariance⁻¹ · values
    own_variances: Array  # [n], of the values beside the function's

    def mean(self, places: Array) -> Array:
        """The function's mean [m] at places [m, d]."""
        return kernel(places, self.points, self.scales) @ self.weights

    def predict(self, places: Array) -> tuple[Array, Array]:
        """Mean and standard deviation [m] of the function at places [m, d]."""
        mean, sd, _ = self.predict_moves(places, 0)
        return mean, sd

    def predict_moves(self, places: Array, last: int) -> tuple[Array, Array, Array]:
        """Mean and standard deviation [m] at places [m, d], and how the means move with the values of the last points.

        [last, m]: by what they are higher where the value of that point, as far as those before it leave it open, is a
        standard deviation higher.
        """
        across = kernel(places, self.points, self.scales)  # [m, n]
        mean = across @ self.weights
        explained = solve_triangular(self.factor, across.T, lower=True, overwrite_b=True, check_finite=False)
        variance = self.scales.amplitude - np.einsum("nm,nm->m", explained, explained)
        return mean, np.sqrt(np.maximum(variance, 1e-10)), explained[len(explained) - last :]

    def expecting(self, places: Array, variance: float) -> "Posterior":
        """The posterior after its own mean was read at places [r, d], with that variance.

        The means stay what they are, and it is surer of them near these places.
        """
        across = kernel(places, self.points, self.scales)  # [r, n]
        explained = solve_triangular(self.factor, across.T, lower=True, check_finite=False)  # [n, r]
        left = kernel(places, places, self.scales) - explained.T @ explained
        own = np.full(len(places), self.scales.noise + variance + JITTER)
        left[np.diag_indices_from(left)] += own
        n, r = len(self.points), len(places)
        factor = np.zeros((n + r, n + r))
        factor[:n, :n], factor[n:, :n] = self.factor, explained.T
        factor[n:, n:] = cholesky(left, lower=True, check_finite=False)
        weights = np.concatenate([self.weights, np.zeros(r)])
        return Posterior(
            points=np.vstack([self.points, places]),
            scales=self.scales,
            factor=factor,
            weights=weights,
            own_variances=np.concatenate([self.own_variances, own]),
        )


def posterior(
    points: Array, values: Array, known_variance: Array, scales: Scales, *, covariance: Array | None = None
) -> Posterior:
    """The posterior after values [n], each with a variance that is known beside the common noise.

    `covariance` is the kernel between the points, where somebody has it already.

    Raises:
        LinAlgError: the covariance is not positive definite.
    """
    covariance = kernel(points, points, scales) if covariance is None else covariance.copy()
    own = scales.noise + known_variance + JITTER
    covariance[np.diag_indices_from(covariance)] += own
    factor = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
    weights = cho_solve((factor, True), values, check_finite=False)
    return Posterior(points=points, scales=scales, factor=factor, weights=weights, own_variances=own)


def fitted(points: Array, values: Array, known_variance: Array) -> Scales:
    """The likeliest scales under the priors (MAP), found from `START` in a few steps of L-BFGS."""
    from scipy.optimize import minimize  # a quarter of a second, which no process pays that only looks at a study

    d = points.shape[1]
    squares = squared_differences(points)
    result = minimize(
        negative_log_posterior,
        np.array([START[0]] * d + [START[1], START[2]]),
        args=(squares, values, known_variance),
        jac=True,
        method="L-BFGS-B",
        bounds=[BOUNDS[0]] * d + [BOUNDS[1], BOUNDS[2]],
        options={"maxiter": MOST_ITERATIONS},
    )
    return scales_of(result.x)


def scales_of(logs: Array) -> Scales:
    """The scales whose logarithms are given: lengths, amplitude, noise."""
    return Scales(lengths=np.exp(logs[:-2]), amplitude=float(np.exp(logs[-2])), noise=float(np.exp(logs[-1])))


def kernel(a: Array, b: Array, scales: Scales) -> Array:
    """Covariance of the function between places [m, d] and points [n, d]: [m, n]."""
    a, b = a / scales.lengths, b / scales.lengths
    a_squares, b_squares = (a * a).sum(axis=1)[:, None], (b * b).sum(axis=1)
    result = np.empty((len(a), len(b)))
    for first in range(0, len(a), BAND):
        band = slice(first, first + BAND)
        squares = a[band] @ (-2 * b.T)
        squares += a_squares[band]
        squares += b_squares
        result[band] = scales.amplitude * _matern(np.maximum(squares, 0.0, out=squares))
    return result


def squared_differences(points: Array) -> Array:
    """[d, n²]: squares of the differences of all pairs, by coordinate."""
    difference = points.T[:, :, None] - points.T[:, None, :]
    return (difference**2).reshape(points.shape[1], -1)


def negative_log_posterior(logs: Array, squares: Array, values: Array, known_variance: Array) -> tuple[float, Array]:
    """Of the scales' logarithms [d + 2], up to a constant, and its gradient."""
    n, d = len(values), len(logs) - 2
    scales = scales_of(logs)
    root = np.sqrt(5 * (scales.lengths**-2 @ squares)).reshape(n, n)  # √5 · distance
    decay = np.exp(-root)
    shape = (1 + root + root**2 / 3) * decay
    covariance = scales.amplitude * shape
    covariance[np.diag_indices_from(covariance)] += scales.noise + known_variance + JITTER
    try:
        factor = cholesky(covariance, lower=True, check_finite=False)
    except LinAlgError:
        return HOPELESS, np.zeros_like(logs)
    inverse = cho_solve((factor, True), np.eye(n), check_finite=False)
    weights = inverse @ values
    fit = 0.5 * values @ weights + np.log(np.diag(factor)).sum()

    pull = inverse - np.outer(weights, weights)  # twice the derivative by the covariance
    slope = scales.amplitude * 5 / 3 * (1 + root) * decay  # of the covariance by -squared distance / 2
    gradient = np.empty_like(logs)
    gradient[:d] = 0.5 * (squares @ (pull * slope).ravel()) / scales.lengths**2
    gradient[d] = 0.5 * (pull * shape).sum() * scales.amplitude
    gradient[d + 1] = 0.5 * np.trace(pull) * scales.noise

    means = np.array([LENGTH_PRIOR[0]] * d + [AMPLITUDE_PRIOR[0], NOISE_PRIOR[0]])
    spreads = np.array([LENGTH_PRIOR[1]] * d + [AMPLITUDE_PRIOR[1], NOISE_PRIOR[1]])
    off = (logs - means) / spreads
    return float(fit + 0.5 * off @ off), gradient + off / spreads


def _matern(squares: Array) -> Array:
    """In place where it can be, as most of a proposal's time is spent here."""
    root = np.sqrt(5 * squares)
    result: Array = root / 3
    result += 1
    result *= root
    result += 1
    result *= np.exp(np.negative(root, out=root), out=root)
    return result
