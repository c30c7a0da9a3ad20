"""Why one trial ended as it did: the verdict, the evidence, and the smallest change that should mend it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.explanation.cause import Entry, diagnose
from search.explanation.neighbour import Neighbour, nearest_healthy, parameter_differences
from search.explanation.repair import Repair
from search.explanation.repair_choice import repairs
from search.explanation.study_edit import NewStudy
from search.explanation.their_words import TheirWords, their_words
from search.report.plain import plain
from search.report.trial_history import IMAGES, TrialHistory, TrialRecord
from search.study.default_file import DEFAULT_STUDY_FILE
from storage.study import StoredStudy, study_names
from storage.telemetry import read_telemetry
from trial.cause_words import RULE
from trial.outcome import Outcome
from trial.reports import WARNING, TelemetryPoint
from trial.verdict import WARNINGS

#: What a person asks for first, then the rest of what stands out.
_FIRST_FIGURES = ("learning_rate", "gradient_norm", "loss")
_HIDDEN_FIGURES = frozenset({"first_bad_step", "first_bad_terms", "pixel_mean", "pixel_deviation"})
_HIDDEN_EVIDENCE = frozenset({RULE, IMAGES, WARNINGS})
_FAILED: Mapping[Outcome, str] = {
    Outcome.DIVERGED: "diverged",
    Outcome.NOT_LEARNING: "did not learn",
    Outcome.INTERRUPTED: "stopped the study",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFigure:
    """A health figure where the trial ended, and at the look before; None where there was none."""

    name: str
    before: float | None
    at_end: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrialExplanation:
    """One trial explained. `entry` and `repair` are None where nothing needs mending; a warning may need some."""

    study: str
    record: TrialRecord
    budget_images: int
    verdict: str  # one sentence
    entry: Entry | None
    figures: tuple[HealthFigure, ...]
    evidence: dict[str, float | str]  # what the verdict itself recorded beside the figures
    curve: tuple[TelemetryPoint, ...]
    repair: Repair | None
    alternatives: tuple[Repair, ...]
    new_study: NewStudy  # what a repair that the study has no room for would begin
    neighbour: Neighbour | None  # the healthy trial that differs least; for a healthy trial, the best one
    theirs: TheirWords | None = None  # of trial 0, where it came from another framework's file

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints (docs/explain.md); a figure that is not finite is one of "nan", "inf", "-inf"."""
        outcome = self.record.outcome
        document = {
            "schema": 1,
            "study": self.study,
            "trial": self.record.number,
            "state": self.record.trial.state.name.lower(),
            "outcome": self.record.ending,
            "failed": self.record.failed,
            "verdict": self.verdict,
            "cause": self.entry.cause if self.entry else None,
            "because": self.entry.because if self.entry else None,
            "rule": self.record.rule,
            "term": outcome.cause if outcome else "",
            "words": outcome.words if outcome else "",
            "message": outcome.message if outcome else "",
            "step": outcome.step if outcome else None,
            "images": self.record.images,
            "budget_images": self.budget_images,
            "ap": self.record.rungs[-1].ap if self.record.rungs else None,
            "parameters": self.record.point,
            "figures": self.figures,
            "evidence": self.evidence,
            "warnings": self.record.warnings,
            "batch_images": self.record.batch_images,
            "repair": self.repair,
            "alternatives": self.alternatives,
            "steps": self.new_study.steps(self.repair.study_edit) if self.repair else (),
            "nearest_healthy": self.neighbour,
            "from": self.theirs,
            "curve": self.curve,
        }
        return plain(document)


def explain_trial(
    study: StoredStudy, history: TrialHistory, number: int, *, file: Path = DEFAULT_STUDY_FILE
) -> TrialExplanation:
    """The explanation of that trial, of the study that the file describes.

    Raises:
        ConfigError: no trial of that number has begun.
    """
    record = history.record(number)
    curve = tuple(read_telemetry(study, number))
    entry = diagnose(record, others_are_healthy=bool(history.healthy))
    neighbour = nearest_healthy(record, history) if record.failed else _best_beside(record, history)
    found = repairs(record, history, entry, neighbour) if entry else ()
    figures = _figures(record, curve)
    named = {figure.name for figure in figures} | _HIDDEN_EVIDENCE
    return TrialExplanation(
        study=history.study,
        record=record,
        budget_images=history.specification.rungs[-1],
        verdict=_verdict(record, history.specification.rungs[-1]),
        entry=entry,
        figures=figures,
        evidence={
            name: value
            for name, value in (record.outcome.evidence if record.outcome else {}).items()
            if name not in named
        },
        curve=curve,
        repair=found[0] if found else None,
        alternatives=found[1:],
        new_study=NewStudy.after(history, file, study_names(study.database)),
        neighbour=neighbour,
        theirs=their_words(record, history, found),
    )


def _verdict(record: TrialRecord, budget_images: int) -> str:
    outcome = record.outcome
    if outcome is None:
        return f"trial {record.number} has not ended: it is {record.trial.state.name.lower()}"
    if record.refused:
        return f"trial {record.number} was never trained ({outcome.outcome}): {outcome.message}"
    where = f"at step {outcome.step}; {record.images} of {budget_images} images were spent"
    if not record.failed:
        return f"trial {record.number} did not fail: {outcome.outcome.meaning} ({outcome.message}; {where})"
    ended = _FAILED.get(outcome.outcome, f"ended by {outcome.outcome}")
    return f"trial {record.number} {ended}: {outcome.sentence} ({where})"


def _figures(record: TrialRecord, curve: Sequence[TelemetryPoint]) -> tuple[HealthFigure, ...]:
    """The figures at the last look and at the one before, completed by what the verdict recorded.

    Those of a refused trial are no health figures of a step.
    """
    if record.refused:
        return ()
    recorded = record.outcome.evidence if record.outcome else {}
    last = dict(curve[-1].figures) if curve else {}
    last |= {name: value for name, value in recorded.items() if name in last and isinstance(value, float)}
    if not last:
        last = {name: value for name, value in recorded.items() if isinstance(value, float)}
    before = curve[-2].figures if len(curve) > 1 else {}
    names = [
        name
        for name in (*_FIRST_FIGURES, *last)
        if name in last and name not in _HIDDEN_FIGURES and not name.startswith(WARNING)
    ]
    return tuple(HealthFigure(name=name, before=before.get(name), at_end=last[name]) for name in dict.fromkeys(names))


def _best_beside(record: TrialRecord, history: TrialHistory) -> Neighbour | None:
    best = history.best
    if best is None or best.number == record.number:
        return None
    return Neighbour(
        trial=best.number, ap=best.rungs[-1].ap, differences=parameter_differences(record, best, history.space)
    )
