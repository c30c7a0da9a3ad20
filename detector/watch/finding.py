"""What a rule of the watch has to say: which rule, why, where, and what follows."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

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


class Rule(ABC):
    """Watches one thing over all steps of a trial. `name` stands in a finding's evidence as `rule`."""

    name: ClassVar[str]
    outcome: ClassVar[Outcome]
    severity: ClassVar[Severity] = Severity.TRIAL

    @abstractmethod
    def observe(self, step: int, figures: Figures) -> Finding | None:
        """What this step shows, if it shows anything; every step is shown, in order."""

    def found(self, step: int, cause: str, message: str, evidence: Mapping[str, float | str]) -> Finding:
        """What this rule says once it fires."""
        return Finding(
            rule=self.name,
            outcome=self.outcome,
            severity=self.severity,
            cause=cause,
            message=message,
            step=step,
            evidence=dict(evidence),
        )


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
    fresh_heads: bool = True  # drawn by a seed, and not trained before


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
