"""SGD and Adam as PyTorch defines them, with every hyperparameter a tensor.

    SGD   g += wd·w;  v = µ·v + g;                     w -= lr·v          (torch.optim.SGD, dampening 0)
    Adam  g += wd·w;  m, s = moments of g and g²;      w -= lr·m̂ / (√ŝ + ε)  (torch.optim.Adam, µ is β₁)

Keras's own SGD decouples weight decay and folds the learning rate into the velocity; exported configurations would
mean something else elsewhere (docs/decisions/0002).
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

from detector.backend import fused, square_sum
from detector.boxes import Tensor

ADAM_BETA_2 = 0.999  # torch's default
ADAM_EPSILON = 1e-8

SLOTS = ("weights", "velocity", "second")
Slots = dict[str, list[Tensor]]  # the three by name, one tensor a variable


def update(
    slots: Slots, gradients: Sequence[Tensor], rates: Sequence[Tensor], scale: Tensor, inputs: dict[str, Tensor]
) -> tuple[Slots, list[Tensor]]:
    """The slots after one step with gradient `scale·g` and one learning rate for each variable, and |Δw|² of each."""
    settings = (scale, inputs["momentum"], inputs["weight_decay"], inputs["update"])

    def by_sgd() -> tuple[Slots, list[Tensor]]:
        moved = fused(_sgd)(slots, gradients, rates, *settings)
        return moved, [rate * rate * square_sum(v) for v, rate in zip(moved["velocity"], rates, strict=True)]

    def by_adam() -> tuple[Slots, list[Tensor]]:
        moved = fused(_adam)(slots, gradients, rates, *settings)
        return moved, [square_sum(new - old) for new, old in zip(moved["weights"], slots["weights"], strict=True)]

    return ops.cond(inputs["adam"], by_adam, by_sgd)


def _sgd(slots: Slots, gradients: Sequence[Tensor], rates: Sequence[Tensor], *settings: Tensor) -> Slots:
    scale, momentum, weight_decay, _ = settings
    weights, velocities = [], []
    for weight, velocity, gradient, rate in _each(slots["weights"], slots["velocity"], gradients, rates):
        velocity = momentum * velocity + scale * gradient + weight_decay * weight
        weights.append(weight - rate * velocity)
        velocities.append(velocity)
    return {"weights": weights, "velocity": velocities, "second": list(slots["second"])}


def _adam(slots: Slots, gradients: Sequence[Tensor], rates: Sequence[Tensor], *settings: Tensor) -> Slots:
    scale, beta, weight_decay, count = settings
    first_correction = 1 - beta**count
    second_correction = 1 - ops.power(ADAM_BETA_2, count)
    weights, firsts, seconds = [], [], []
    moments = (slots["velocity"], slots["second"])
    for weight, first, second, gradient, rate in _each(slots["weights"], *moments, gradients, rates):
        gradient = scale * gradient + weight_decay * weight
        first = beta * first + (1 - beta) * gradient
        second = ADAM_BETA_2 * second + (1 - ADAM_BETA_2) * ops.square(gradient)
        change = (first / first_correction) / (ops.sqrt(second / second_correction) + ADAM_EPSILON)
        weights.append(weight - rate * change)
        firsts.append(first)
        seconds.append(second)
    return {"weights": weights, "velocity": firsts, "second": seconds}


def _each(*lists: Sequence[Tensor]) -> Any:
    return zip(*lists, strict=True)
