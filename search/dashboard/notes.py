"""Notes that tell in the Optuna dashboard what it cannot know: why a trial ended, and how to read the study.

A note is written anew only when its text changed, and never over one that a person wrote.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from optuna.study.study import _SYSTEM_ATTR_METRIC_NAMES as _METRIC_NAMES
from optuna_dashboard._note import get_note_from_system_attrs, save_note_with_version

from search.report.ranking import first_trial_text
from search.terminal import visible
from spaces.faster_rcnn import Space
from storage.outcomes import read_outcomes
from storage.records import OutcomeRecord
from storage.study import StoredStudy, trial_ids
from storage.telemetry import latest_points
from trial.outcome import Outcome

SIGNATURE = "*Written by frcnn-search.*"  # at the end of every note of ours
OBJECTIVE = "COCO AP"  # on every axis, in place of `Objective 0`
LEARNING_RATE = "learning_rate"  # the name of the figure in telemetry
_MARKDOWN = re.compile(r"[\\`*\[\]<>|$~&#:@!]|(?<!\w)_|_(?!\w)")  # not the `_` within a word, which marks nothing


class Notes:
    """The notes of one study. What was written is remembered, so that a refresh looks only at what is new."""

    def __init__(self, study: StoredStudy, space: Space | None, imported: object | None = None) -> None:
        self._study = study
        self._space = space
        self._imported = imported
        self._told: dict[int, OutcomeRecord] = {}  # the outcomes whose notes are there

    def publish(self) -> int:
        """Bring the notes of the study and of its ended trials up to date; how many were written."""
        ended = (record for record in read_outcomes(self._study) if record.outcome is not Outcome.COMPLETE)
        new = [record for record in ended if self._told.get(record.trial) != record]
        if self._told and not new:
            return 0
        latest = latest_points(self._study, [record.trial for record in new])
        ids = trial_ids(self._study)
        texts: dict[int | None, str] = {None: legend(self._space, self._imported)}
        for record in new:
            point = latest.get(record.trial)
            rate = point.figures.get(LEARNING_RATE) if point else None
            texts[ids[record.trial]] = trial_note(record, rate)
        written = self._write(texts)
        self._told |= {record.trial: record for record in new}
        return written

    def _write(self, texts: Mapping[int | None, str]) -> int:
        """Write what differs from what is there, by Optuna's id of the trial; None is the study's own note."""
        storage, written = self._study.database.optuna, 0
        with self._study.database.guarded():
            attributes: dict[int | None, dict[str, Any]] = {}
            for key, value in storage.get_study_system_attrs(self._study.id).items():
                owner = key.split(":")[1] if ":" in key else ""
                attributes.setdefault(int(owner) if owner.isdecimal() else None, {})[key] = value
            for trial_id, text in texts.items():
                there = get_note_from_system_attrs(attributes.get(trial_id, {}), trial_id)
                body = there["body"]
                if body == text or (body and not body.endswith(SIGNATURE)):
                    continue
                save_note_with_version(storage, self._study.id, trial_id, there["version"] + 1, text)
                written += 1
                if trial_id is None:
                    storage.set_study_system_attr(self._study.id, _METRIC_NAMES, [OBJECTIVE])
        return written


def legend(space: Space | None, imported: object | None = None) -> str:
    """The note of the study, in Markdown."""
    rows = "\n".join(
        f"| {outcome} | {outcome.state.capitalize()}{', infeasible' * outcome.infeasible} | {outcome.meaning} |"
        for outcome in Outcome
    )
    first = first_trial_text(space, None if imported is None else _escaped(str(imported)))
    return (
        "The objective is COCO AP (IoU .50:.95) on the validation images, in [0, 1]; a step is a rung of the budget, "
        f"in images seen. Trial 0 is {first}. A trial's user attributes and its note "
        f"say how it ended:\n\n| outcome | state here | meaning |\n| --- | --- | --- |\n{rows}\n\n{SIGNATURE}"
    )


def trial_note(outcome: OutcomeRecord, learning_rate: float | None) -> str:
    """The note of one trial, in Markdown: outcome, cause, where, the learning rate at that time, the evidence."""
    cause = f": {_escaped(outcome.words)}" if outcome.words else ""
    never = outcome.outcome.refused
    where = "never trained" if never else f"at step {outcome.step}, after {outcome.images} images"
    lines = [f"**{outcome.outcome}{cause}** {where}."]
    if outcome.message:
        lines.append(_escaped(outcome.message))
    evidence: dict[str, float | str] = dict(outcome.evidence)
    if learning_rate is not None:
        evidence = {"learning rate at the end": learning_rate, **evidence}
    if evidence:
        lines.append("\n".join(["| evidence | value |", "| --- | --- |", *_rows(evidence.items())]))
    return "\n\n".join([*lines, SIGNATURE])


def _rows(evidence: Iterable[tuple[str, float | str]]) -> Iterable[str]:
    for name, value in evidence:
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        yield f"| {_cell(name)} | {_cell(text)} |"


def _cell(text: str) -> str:
    """Text that cannot break out of a table: a trainer's last words may hold anything."""
    return _escaped(text[:500]).replace("\n", " ⏎ ")


def _escaped(text: str) -> str:
    """Text that Markdown shows as it stands: no markup, no link, no image that a browser would fetch, no formula."""
    return _MARKDOWN.sub(r"\\\g<0>", visible(text))
