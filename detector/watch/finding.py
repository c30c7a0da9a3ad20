"""What a rule of the watch has to say: which rule, why, where, and what follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from detector.watch.health import LOSSES
from trial.outcome import Outcome

Figures = Mapping[str, float]


class Severity(StrEnum):
    """What follows from a finding."""

    WARNING = "warning"  # recorded; the trial goes on
    TRIAL = "trial"  # ends the trial
    STUDY = "study"  # every trial would end like this: somebody must act before another one is begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that fired: the part behind it, where, and the figures that show it."""

    rule: str
    outcome: Outcome  # of the trial that it ends
    cause: str
    message: str
    step: int
    severity: Severity = Severity.TRIAL
    evidence: dict[str, float | str] = field(default_factory=dict)


class Rule(Protocol):
    """Watches one thing over all steps of a trial. `name` stands in a finding's evidence as `rule`."""

    name: str

    def observe(self, step: int, figures: Figures) -> Finding | None:
        """What this step shows, if it shows anything; every step is shown, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialContext:
    """What the rules must know of a trial beside its figures."""

    budget_steps: int
    warmup_steps: int = 0
    peak_learning_rate: float = 0.0
    classes: int = 1
    anchor_samples: int = 256  # slots of a sample, per image
    roi_samples: int = 512
    proposals: int = 1000


class Streak:
    """Counts how many steps in a row something held."""

    def __init__(self, needed: int) -> None:
        self._needed = needed
        self._held = 0

    def complete(self, holds: bool) -> bool:
        """Whether it held in this step and in enough of those before it."""
        self._held = self._held + 1 if holds else 0
        return self._held >= self._needed


def circumstances(figures: Figures) -> dict[str, float | str]:
    """What a person asks for first."""
    return {name: figures[name] for name in ("learning_rate", "gradient_norm", *LOSSES)}
