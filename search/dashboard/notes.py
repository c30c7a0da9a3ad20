"""Notes that tell in the Optuna dashboard what it cannot know: why a trial ended, and how to read the study.

A note is written anew only when its text changed, and never over one that a person wrote.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna_dashboard import get_note, save_note

from storage.connection.database import Database
from storage.outcomes import read_outcomes
from storage.records import OutcomeRecord
from storage.study import load_study
from storage.telemetry import read_telemetry
from trial.outcome import INFEASIBLE, MEANINGS, REFUSED, Outcome

SIGNATURE = "*Written by frcnn-search.*"  # at the end of every note of ours
OBJECTIVE = "COCO AP"  # on every axis, in place of `Objective 0`
LEARNING_RATE = "learning_rate"  # the name of the figure in telemetry

#: Where Optuna files each outcome that does not speak against the configuration.
_STATES: Mapping[Outcome, str] = {
    Outcome.COMPLETE: "Complete",
    Outcome.OUTRANKED: "Pruned",
    Outcome.INVALID: "Fail",
    Outcome.BAD_DATA: "Fail",
    Outcome.CRASHED: "Fail",
    Outcome.INTERRUPTED: "Running",
}


@dataclass(frozen=True, slots=True)
class _TrialHandle:
    """What `save_note` asks of a trial; once it has ended, Optuna gives out no `Trial` any more."""

    study: optuna.Study
    storage: BaseStorage
    _trial_id: int


def publish_notes(database: Database, study_name: str) -> int:
    """Bring the notes of the study and of its ended trials up to date; how many were written.

    Raises:
        StorageError: there is no such study.
    """
    study = load_study(database, study_name)
    ended = [record for record in read_outcomes(database, study_name) if record.outcome != Outcome.COMPLETE]
    with database.guarded():
        trial_ids = {trial.number: trial._trial_id for trial in study.get_trials(deepcopy=False)}
        written = int(_write(study, legend()))
        if written:
            _name_objective(study)
        for outcome in ended:
            rate = _last_learning_rate(database, study_name, outcome.trial)
            handle = _TrialHandle(study, study._storage, trial_ids[outcome.trial])
            written += _write(handle, epitaph(outcome, rate))
    return written


def legend() -> str:
    """The note of the study, in Markdown."""
    rows = "\n".join(
        f"| {outcome} | {'Pruned, infeasible' if outcome in INFEASIBLE else _STATES[outcome]} | {meaning} |"
        for outcome, meaning in MEANINGS.items()
    )
    return (
        "The objective is COCO AP (IoU .50:.95) on the validation images, in [0, 1]; a step is a rung of the budget, "
        "in images seen. Trial 0 is the reference, Detectron2's defaults. A trial's user attributes and its note say "
        f"how it ended:\n\n| outcome | state here | meaning |\n| --- | --- | --- |\n{rows}\n\n{SIGNATURE}"
    )


def epitaph(outcome: OutcomeRecord, learning_rate: float | None) -> str:
    """The note of one trial, in Markdown: outcome, cause, where, the learning rate at that time, the evidence."""
    cause = f": {outcome.cause}" if outcome.cause else ""
    where = "never trained" if outcome.outcome in REFUSED else f"at step {outcome.step}, after {outcome.images} images"
    lines = [f"**{outcome.outcome}{cause}** {where}."]
    if outcome.message:
        lines.append(outcome.message)
    evidence: dict[str, float | str] = dict(outcome.evidence)
    if learning_rate is not None:
        evidence = {"learning rate at the end": learning_rate, **evidence}
    if evidence:
        lines.append("\n".join(["| evidence | value |", "| --- | --- |", *_rows(evidence.items())]))
    return "\n\n".join([*lines, SIGNATURE])


def _name_objective(study: optuna.Study) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names([OBJECTIVE])


def _rows(evidence: Iterable[tuple[str, float | str]]) -> Iterable[str]:
    for name, value in evidence:
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        yield f"| {name} | {_cell(text)} |"


def _cell(text: str) -> str:
    """Text that cannot break out of a table: a trainer's last words may hold anything."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ⏎ ")[:500]


def _last_learning_rate(database: Database, study_name: str, trial: int) -> float | None:
    points = read_telemetry(database, study_name, trial)
    return points[-1].figures.get(LEARNING_RATE) if points else None


def _write(study_or_trial: optuna.Study | _TrialHandle, text: str) -> bool:
    existing = get_note(study_or_trial)
    if existing == text or (existing and not existing.endswith(SIGNATURE)):
        return False
    save_note(study_or_trial, text)
    return True
