"""Ranges of learning rates to begin with: around Detectron2's, by starting point and by the batches of the space."""

from collections.abc import Iterator

from detector.config import Optimizer
from detector.weight_files.starting_point import StartingPoint
from search.policy.derived_point import ADAM, SGD
from search.policy.screens.reference_rate import highest_rate, lowest_rate
from spaces.faster_rcnn import Space
from spaces.parameters import Float, Parameter, three_digits


def proposed_rates(space: Space, *, start: StartingPoint) -> dict[str, Parameter]:
    """Ranges for those learning rates that the study searches; what it fixes or lists is left as it is.

    One range holds for every batch (`highest_rate`), and both ranges hold trial 0's value.
    """
    proposed: dict[str, Parameter] = {}
    for name, low, high in _ranges(space, start=start):
        if isinstance(space.parameters.get(name), Float):
            proposed[name] = Float(low=three_digits(low), high=three_digits(high), log=True)
    return proposed


def _ranges(space: Space, *, start: StartingPoint) -> Iterator[tuple[str, float, float]]:
    smallest = min(space.batch_sizes())
    for optimizer, name in ((Optimizer.SGD, SGD), (Optimizer.ADAM, ADAM)):
        if space.parameters["optimizer"].contains(optimizer.value):
            high = highest_rate(optimizer, start=start, smallest_batch=smallest)
            yield name, lowest_rate(optimizer, start=start), high


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
