"""Ranges of learning rates to begin with: around Detectron2's, by starting point and by the batches of the space."""

import math
from collections.abc import Iterator

from detector.config import Optimizer
from search.policy.derived_point import ADAM, SGD
from search.policy.reference_rate import BELOW, MOSTLY_DIVERGES, SAFE_FROM_SCRATCH, reference_rate
from spaces.faster_rcnn import Space
from spaces.parameters import Float, Parameter, three_digits

ADAM_AROUND = 10.0


def proposed_rates(space: Space, *, from_scratch: bool) -> dict[str, Parameter]:
    """Ranges for those learning rates that the study searches; what it fixes or lists is left as it is.

    SGD's rate follows the batch linearly, and so does the space's own scale: one range holds for every batch, up to 4 ×
    Detectron2's rate (F4), from scratch only up to that rate itself. Adam's follows the square root of the batch, so
    that on the linear scale smaller batches need a higher end. Both ranges hold trial 0's value.
    """
    proposed: dict[str, Parameter] = {}
    for name, low, high in _ranges(space, from_scratch=from_scratch):
        if isinstance(space.parameters.get(name), Float):
            proposed[name] = Float(low=three_digits(low), high=three_digits(high), log=True)
    return proposed


def _ranges(space: Space, *, from_scratch: bool) -> Iterator[tuple[str, float, float]]:
    optimizers = space.parameters["optimizer"]
    if optimizers.contains("sgd"):
        reference = reference_rate(Optimizer.SGD)
        yield SGD, reference / BELOW, reference * (SAFE_FROM_SCRATCH if from_scratch else MOSTLY_DIVERGES)
    if optimizers.contains("adam"):
        reference = reference_rate(Optimizer.ADAM)
        smaller_batch = math.sqrt(16 / min(16, *space.batch_sizes()))
        yield ADAM, reference / ADAM_AROUND, reference * ADAM_AROUND * smaller_batch


def rate_lines(space: Space, proposed: dict[str, Parameter]) -> list[str]:
    """What the proposed ranges come to at each batch size, a line for each optimizer."""
    lines = []
    for name, parameter in proposed.items():
        if isinstance(parameter, Float) and name in (SGD, ADAM):
            each = (
                f"{batch}: {parameter.low * batch / 16:.2g} to {parameter.high * batch / 16:.2g}"
                for batch in space.batch_sizes()
            )
            lines.append(f"learning rate of {'SGD' if name == SGD else 'Adam'} by batch: {', '.join(each)}")
    return lines
