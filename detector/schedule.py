"""Learning rate by share of the budget: linear warm-up, then piecewise-constant decay.

Fractions of the budget, not iterations, so that a configuration means the same in a short trial and in a full training.
"""

import math

from detector.config import Hyperparameters


def learning_rate(hyperparameters: Hyperparameters, images: int, budget_images: int) -> float:
    """The rate of the step that begins after `images` of `budget_images`."""
    share = images / budget_images
    return hyperparameters.learning_rate * _warmup(hyperparameters, share) * _decay(hyperparameters, share)


def optimizer_steps(images: int, batch_size: int) -> int:
    """Whole steps that cover so many images."""
    return math.ceil(images / batch_size)


def _warmup(hyperparameters: Hyperparameters, share: float) -> float:
    if share >= hyperparameters.warmup_fraction:
        return 1.0
    start = hyperparameters.warmup_factor
    return start + (1 - start) * share / hyperparameters.warmup_fraction


def _decay(hyperparameters: Hyperparameters, share: float) -> float:
    passed = sum(share >= boundary for boundary in hyperparameters.decay_boundaries)
    return hyperparameters.decay_factor**passed
