"""Why one trial ended as it did: the verdict, the evidence, and the smallest change that should mend it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.explanation.cause import Entry, diagnose
from search.explanation.neighbour import Neighbour, nearest_healthy, parameter_differences
from search.explanation.repair import Repair, repairs
from search.explanation.trial_history import IMAGES, RULE, WARNINGS, Case, Casebook
from search.report.plain import plain
from storage.connection.database import Database
from storage.records import TelemetryPoint
from storage.telemetry import read_telemetry
from trial.outcome import MEANINGS, Outcome

#: What a person asks for first, then the rest of what stands out.
_FIRST_FIGURES = ("learning_rate", "gradient_norm", "loss")
_HIDDEN_FIGURES = frozenset({"first_bad_step", "first_bad_terms", "pixel_mean", "pixel_deviation"})
_MARK_OF_WARNING = "warning: "  # telemetry holds warnings among the figures
_HIDDEN_EVIDENCE = frozenset({RULE, IMAGES, WARNINGS})
_FAILED: Mapping[str, str] = {
    Outcome.DIVERGED: "diverged",
    Outcome.NOT_LEARNING: "did not learn",
    Outcome.INTERRUPTED: "stopped the study",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A health figure where the trial ended, and at the look before; None where there was none."""

    name: str
    before: float | None
    at_end: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrialExplanation:
    """One trial explained. `entry` and `repair` are None where nothing needs mending; a warning may need some."""

    study: str
    case: Case
    budget_images: int
    verdict: str  # one sentence
    entry: Entry | None
    figures: tuple[Figure, ...]
    evidence: dict[str, float | str]  # what the verdict itself recorded beside the figures
    curve: tuple[TelemetryPoint, ...]
    repair: Repair | None
    alternatives: tuple[Repair, ...]
    neighbour: Neighbour | None  # the healthy trial that differs least; for a healthy trial, the best one

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints (docs/explain.md); a figure that is not finite is one of "nan", "inf", "-inf"."""
        outcome = self.case.outcome
        document = {
            "schema": 1,
            "study": self.study,
            "trial": self.case.number,
            "state": self.case.trial.state.name.lower(),
            "outcome": self.case.ending,
            "failed": self.case.failed,
            "verdict": self.verdict,
            "cause": self.entry.cause if self.entry else None,
            "because": self.entry.because if self.entry else None,
            "rule": self.case.rule,
            "term": outcome.cause if outcome else "",
            "message": outcome.message if outcome else "",
            "step": outcome.step if outcome else None,
            "images": self.case.images,
            "budget_images": self.budget_images,
            "ap": self.case.rungs[-1].ap if self.case.rungs else None,
            "parameters": self.case.point,
            "figures": self.figures,
            "evidence": self.evidence,
            "warnings": self.case.warnings,
            "batch_images": self.case.batch_images,
            "repair": self.repair,
            "alternatives": self.alternatives,
            "nearest_healthy": self.neighbour,
            "curve": self.curve,
        }
        return plain(document)


def explain_trial(database: Database, casebook: Casebook, number: int) -> TrialExplanation:
    """The explanation of that trial.

    Raises:
        ConfigError: no trial of that number has begun.
    """
    case = casebook.case(number)
    curve = tuple(read_telemetry(database, casebook.study, number))
    entry = diagnose(case, others_are_healthy=bool(casebook.healthy))
    neighbour = nearest_healthy(case, casebook) if case.failed else _best_beside(case, casebook)
    found = repairs(case, casebook, entry, neighbour) if entry else ()
    figures = _figures(case, curve)
    named = {figure.name for figure in figures} | _HIDDEN_EVIDENCE
    return TrialExplanation(
        study=casebook.study,
        case=case,
        budget_images=casebook.specification.rungs[-1],
        verdict=_verdict(case, casebook.specification.rungs[-1]),
        entry=entry,
        figures=figures,
        evidence={
            name: value for name, value in (case.outcome.evidence if case.outcome else {}).items() if name not in named
        },
        curve=curve,
        repair=found[0] if found else None,
        alternatives=found[1:],
        neighbour=neighbour,
    )


def _verdict(case: Case, budget_images: int) -> str:
    outcome = case.outcome
    if outcome is None:
        return f"trial {case.number} has not ended: it is {case.trial.state.name.lower()}"
    if case.refused:
        return f"trial {case.number} was never trained ({outcome.outcome}): {outcome.message}"
    where = f"at step {outcome.step}; {case.images} of {budget_images} images were spent"
    if not case.failed:
        return f"trial {case.number} did not fail: {MEANINGS[Outcome(outcome.outcome)]} ({outcome.message}; {where})"
    ended = _FAILED.get(outcome.outcome, f"ended by {outcome.outcome}")
    return f"trial {case.number} {ended}: {outcome.message or outcome.cause} ({where})"


def _figures(case: Case, curve: Sequence[TelemetryPoint]) -> tuple[Figure, ...]:
    """The figures at the last look and at the one before, completed by what the verdict recorded.

    Those of a refused trial are no health figures of a step.
    """
    if case.refused:
        return ()
    recorded = case.outcome.evidence if case.outcome else {}
    last = dict(curve[-1].figures) if curve else {}
    last |= {name: value for name, value in recorded.items() if name in last and isinstance(value, float)}
    if not last:
        last = {name: value for name, value in recorded.items() if isinstance(value, float)}
    before = curve[-2].figures if len(curve) > 1 else {}
    names = [
        name
        for name in (*_FIRST_FIGURES, *last)
        if name in last and name not in _HIDDEN_FIGURES and not name.startswith(_MARK_OF_WARNING)
    ]
    return tuple(Figure(name=name, before=before.get(name), at_end=last[name]) for name in dict.fromkeys(names))


def _best_beside(case: Case, casebook: Casebook) -> Neighbour | None:
    best = casebook.best
    if best is None or best.number == case.number:
        return None
    return Neighbour(
        trial=best.number, ap=best.rungs[-1].ap, differences=parameter_differences(case, best, casebook.space)
    )
