"""Batch norms with another epsilon, or without statistics, that are the same function."""

import numpy as np

LEAST_VARIANCE = 1e-12


def with_epsilon(
    gamma: np.ndarray, variance: np.ndarray, *, epsilon: float, wanted: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gamma and variance of the same function where `wanted` is added in place of `epsilon`.

    A variance that would not stay positive goes into gamma.
    """
    if epsilon == wanted:
        return gamma, variance
    moved = variance.astype(np.float64) + (epsilon - wanted)
    folded = gamma / np.sqrt(variance.astype(np.float64) + epsilon)
    stays = moved > LEAST_VARIANCE
    return (
        np.where(stays, gamma, folded).astype(np.float32),
        np.where(stays, moved, 1.0 - wanted).astype(np.float32),
    )
