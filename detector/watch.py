"""Is this trial still training? Rules over a step's health figures that need no other trial and no validation.

not finite    a loss or the gradient was NaN or infinite; the step's latch names the first term and step
exploding     the running mean of the loss left everything it started from, or one term is absurd
not learning  the weights do not move: the update is too small to change anything within the budget
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from detector.health import LOSSES, bad_terms
from detector.network import COMPONENTS


class Failing(StrEnum):
    """Why a healthy-looking process is not training."""

    DIVERGED = "diverged"
    NOT_LEARNING = "not learning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When a rule fires. False alarms on healthy trials: docs/decisions/0009."""

    window_steps: int = 20  # of the reference at the start and of the running mean
    explosion_ratio: float = 10.0  # running mean of the loss over the median of the first steps …
    explosion_floor: float = 20.0  # … but never below this: a healthy total is under 10
    absurd_loss: float = 1e3  # of one term
    dead_update_ratio: float = 1e-6  # |change| / |weights| a step: 10,000 such steps move the weights by 1 %
    dead_after_share: float = 0.25  # of the budget, so that warm-up is over …
    dead_after_steps: int = 20  # … and this many at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that fired: the term behind it, where, and the figures that show it."""

    kind: Failing
    cause: str
    message: str
    step: int
    evidence: dict[str, float | str] = field(default_factory=dict)


class Watch:
    """Sees every optimizer step of one trial, in order; the first finding ends it."""

    def __init__(self, budget_steps: int, thresholds: Thresholds | None = None) -> None:
        self._thresholds = thresholds or Thresholds()
        self._budget_steps = budget_steps
        self._first: list[float] = []
        self._recent: deque[float] = deque(maxlen=self._thresholds.window_steps)
        self._updates: deque[float] = deque(maxlen=self._thresholds.window_steps)

    def observe(self, step: int, figures: Mapping[str, float]) -> Finding | None:
        """The finding that ends the trial, or None while it is healthy."""
        return self._not_finite(figures) or self._exploding(step, figures) or self._not_learning(step, figures)

    def _not_finite(self, figures: Mapping[str, float]) -> Finding | None:
        terms = bad_terms(figures)
        if not terms:
            return None
        step = int(figures["first_bad_step"])
        return Finding(
            kind=Failing.DIVERGED,
            cause=terms[0],
            message=f"{terms[0]} was not finite at step {step}",
            step=step,
            evidence={"rule": "not finite", "terms": ", ".join(terms), **_circumstances(figures)},
        )

    def _exploding(self, step: int, figures: Mapping[str, float]) -> Finding | None:
        limits, loss = self._thresholds, figures["loss"]
        worst = max(LOSSES, key=lambda name: figures[name])
        self._recent.append(loss)
        if figures[worst] > limits.absurd_loss:
            return self._explosion(step, worst, f"{worst} reached {figures[worst]:.3g}", figures)
        if len(self._first) < limits.window_steps:
            self._first.append(loss)
            return None
        start = sorted(self._first)[len(self._first) // 2]
        bound = max(limits.explosion_ratio * start, limits.explosion_floor)
        mean = math.fsum(self._recent) / len(self._recent)
        if mean <= bound:
            return None
        return self._explosion(step, worst, f"the loss rose from {start:.3g} to {mean:.3g}", figures)

    def _explosion(self, step: int, cause: str, message: str, figures: Mapping[str, float]) -> Finding:
        evidence: dict[str, float | str] = {"rule": "exploding", **_circumstances(figures)}
        return Finding(kind=Failing.DIVERGED, cause=cause, message=message, step=step, evidence=evidence)

    def _not_learning(self, step: int, figures: Mapping[str, float]) -> Finding | None:
        limits = self._thresholds
        self._updates.append(max(figures[f"update_ratio_{name}"] for name in COMPONENTS))
        if step < max(limits.dead_after_steps, limits.dead_after_share * self._budget_steps):
            return None
        largest = max(self._updates)
        if largest >= limits.dead_update_ratio:
            return None
        return Finding(
            kind=Failing.NOT_LEARNING,
            cause="update too small",
            message=f"no part of the weights moved by more than {largest:.1e} of itself in a step",
            step=step,
            evidence={"rule": "not learning", "largest_update_ratio": largest, **_circumstances(figures)},
        )


def _circumstances(figures: Mapping[str, float]) -> dict[str, float]:
    """What a person asks for first."""
    return {name: figures[name] for name in ("learning_rate", "gradient_norm", *LOSSES)}
