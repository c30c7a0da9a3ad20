"""Optimizer and learning rate of a pipeline.config: a message of the optimizer, and in it one of the schedule."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from detector.config import Optimizer, require
from search.imports.formats.their_document import MISSING, TheirDocument
from search.imports.imported import Difference
from search.imports.wish import UNWRITABLE, Wish, fixed

OPTIMIZERS = {
    "momentum_optimizer": Optimizer.SGD,
    "adam_optimizer": Optimizer.ADAM,
    "rms_prop_optimizer": Optimizer.SGD,
}
MANUAL, COSINE = "manual_step_learning_rate", "cosine_decay_learning_rate"
EXPONENTIAL, CONSTANT = "exponential_decay_learning_rate", "constant_learning_rate"
KEY = "train_config.optimizer"


@dataclass(frozen=True, slots=True, kw_only=True)
class TfOdSchedule:
    """What trains, how fast, how long."""

    optimizer: Wish[Optimizer]
    momentum: Wish[float]
    learning_rate: Wish[float]
    iterations: Wish[float]
    warmup_iterations: Wish[float]
    warmup_factor: Wish[float]
    milestones: Wish[tuple[float, ...]]
    decay_factor: Wish[float]
    differences: tuple[Difference, ...]

    @classmethod
    def of(cls, document: TheirDocument) -> "TfOdSchedule":
        """The schedule.

        Raises:
            ConfigError: there is no optimizer, or a value is missing or of the wrong kind.
        """
        name = next((name for name in OPTIMIZERS if document.find(f"{KEY}.{name}") is not MISSING), "")
        require(bool(name), f"{document.source}: {KEY} must have one of {', '.join(OPTIMIZERS)}")
        whole = document.wish(f"{KEY}.{name}")
        values: dict[str, Any] = {
            "optimizer": whole.becomes(lambda _: OPTIMIZERS[name]),
            "momentum": document.number(f"{KEY}.{name}.momentum_optimizer_value", 0.9),
            "iterations": document.number("train_config.num_steps"),
        }
        others = (Difference(theirs=fixed(name, f"{KEY}.{name}"), what="RMSProp", instead="SGD"),)
        differences = others if name == "rms_prop_optimizer" else ()
        rate = f"{KEY}.{name}.learning_rate"
        if document.find(f"{rate}.{MANUAL}") is not MISSING:
            return cls(**values, **_manual(document, f"{rate}.{MANUAL}"), differences=differences)
        smooth, kind = _smooth(document, rate)
        own = (Difference(theirs=kind, what=kind.value, instead="a constant rate after warm-up"),)
        return cls(**values, **smooth, differences=differences + (own if kind.value != CONSTANT else ()))


def _manual(document: TheirDocument, key: str) -> dict[str, Any]:
    """Steps from which another rate holds; with `warmup` the first of them is the peak, reached evenly."""
    first = document.number(f"{key}.initial_learning_rate", 0.002)
    steps = [
        (document.number(f"{each}.step"), document.number(f"{each}.learning_rate", 0.002))
        for each in document.items(f"{key}.schedule")
    ]
    warms = document.find(f"{key}.warmup") is True and bool(steps)
    peak, warmup = (steps[0][1], steps[0][0]) if warms else (first, fixed(0.0, f"{key}.warmup"))
    drops = steps[1:] if warms else steps
    rates = [peak.value, *(rate.value for _, rate in drops)]
    factors = [after / before for before, after in itertools.pairwise(rates) if before > 0]
    milestones: Wish[tuple[float, ...]] = fixed((), f"{key}.schedule")
    if drops:
        milestones = drops[0][0].becomes(lambda _: tuple(step.value for step, _ in drops))
    gamma = drops[0][1].becomes(lambda _: factors[0]) if drops and factors else fixed(0.1, f"{key}.schedule")
    return {
        "learning_rate": replace(peak, companions=tuple(_following(rate, peak.value) for _, rate in drops)),
        "warmup_iterations": warmup,
        "warmup_factor": first.becomes(_share_of(peak.value), lambda share: share * peak.value),
        "milestones": milestones,
        "decay_factor": gamma,
    }


def _following(rate: Wish[float], peak: float) -> Wish[float]:
    """A later rate, which stays the same part of the peak."""
    return rate.becomes(lambda value: value, lambda new: new * rate.value / peak if peak > 0 else UNWRITABLE)


def _smooth(document: TheirDocument, rate: str) -> tuple[dict[str, Any], Wish[str]]:
    """Schedules without steps: the peak, its warm-up, and no drop."""
    found = document.find(rate)
    kind = next((name for name in (COSINE, EXPONENTIAL, CONSTANT) if isinstance(found, Mapping) and name in found), "")
    require(
        bool(kind), f"{document.source}: {rate} must have one of {', '.join((MANUAL, COSINE, EXPONENTIAL, CONSTANT))}"
    )
    key = f"{rate}.{kind}"
    name = {COSINE: "learning_rate_base", EXPONENTIAL: "initial_learning_rate", CONSTANT: "learning_rate"}[kind]
    peak = document.number(f"{key}.{name}", 0.002)
    warmup: Wish[float] = fixed(0.0, key)
    factor: Wish[float] = fixed(0.0, key)
    if kind == COSINE:
        warmup = document.number(f"{key}.warmup_steps", 0)
        start = document.number(f"{key}.warmup_learning_rate", 0.0002)
        factor = start.becomes(_share_of(peak.value), lambda share: share * peak.value)
    span = document.wish(key)
    return {
        "learning_rate": peak,
        "warmup_iterations": warmup,
        "warmup_factor": factor,
        "milestones": fixed((), key),
        "decay_factor": fixed(0.1, key),
    }, span.becomes(lambda _: kind)


def _share_of(peak: float) -> Callable[[float], float]:
    return lambda value: value / peak if peak > 0 else 0.0
