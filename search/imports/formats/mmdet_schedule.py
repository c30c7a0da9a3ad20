"""MMEngine's schedule in iterations: loops by epochs or iterations, a list of schedulers, each in its own unit."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from search.imports.formats.their_document import MISSING, TheirDocument
from search.imports.imported import Difference
from search.imports.wish import UNWRITABLE, Wish, fixed

SCHEDULERS = "param_scheduler"
DEFAULT_GAMMA, DEFAULT_FACTOR = 0.1, 1 / 3  # MMEngine's


@dataclass(frozen=True, slots=True, kw_only=True)
class MmdetSchedule:
    """Lengths in iterations."""

    iterations: Wish[float]
    warmup_iterations: Wish[float]
    warmup_factor: Wish[float]
    milestones: Wish[tuple[float, ...]]
    decay_factor: Wish[float]
    differences: tuple[Difference, ...]

    @classmethod
    def of(cls, document: TheirDocument, *, images: int, batch: int) -> "MmdetSchedule":
        """The schedule of a training on so many images.

        Raises:
            ConfigError: a value is missing, or of the wrong kind.
        """
        epoch = max(1, math.ceil(images / max(1, batch)))
        by_iterations = document.find("train_cfg.max_iters") is not MISSING
        whole = document.number("train_cfg.max_iters" if by_iterations else "train_cfg.max_epochs")
        warmup: Wish[float] = fixed(0.0, SCHEDULERS)
        factor: Wish[float] = fixed(DEFAULT_FACTOR, SCHEDULERS)
        milestones: Wish[tuple[float, ...]] = fixed((), SCHEDULERS)
        gamma: Wish[float] = fixed(DEFAULT_GAMMA, SCHEDULERS)
        others = []
        for key in document.items(SCHEDULERS):
            kind = document.text(f"{key}.type")
            unit = epoch if document.find(f"{key}.by_epoch") is not False else 1
            match kind.value:
                case "LinearLR":
                    begin = document.number(f"{key}.begin", 0).value
                    # Its factor is reached at the last of its steps, one before the end.
                    warmup = document.number(f"{key}.end").becomes(_ramp(begin, unit), _end(begin, unit))
                    factor = document.number(f"{key}.start_factor", DEFAULT_FACTOR)
                case "MultiStepLR":
                    milestones = document.numbers(f"{key}.milestones").becomes(_times(unit), _parts(unit))
                    gamma = document.number(f"{key}.gamma", DEFAULT_GAMMA)
                case _:
                    others.append(Difference(theirs=kind, what=kind.value, instead="a constant rate in that time"))
        return cls(
            iterations=whole if by_iterations else whole.becomes(lambda epochs: epochs * epoch),
            warmup_iterations=warmup,
            warmup_factor=factor,
            milestones=milestones,
            decay_factor=gamma,
            differences=tuple(others),
        )


def _ramp(begin: float, unit: int) -> Callable[[float], float]:
    return lambda end: max(0.0, (end - begin) * unit - 1)


def _times(unit: int) -> Callable[[tuple[float, ...]], tuple[float, ...]]:
    return lambda values: tuple(value * unit for value in values)


def _end(begin: float, unit: int) -> Callable[[float], Any]:
    return lambda steps: begin + steps + 1 if unit == 1 else UNWRITABLE


def _parts(unit: int) -> Callable[[tuple[float, ...]], Any]:
    """The nearest whole epochs, which may be none or the same: reading back tells."""
    return lambda values: [max(1, round(value / unit)) for value in values]
