"""Commands in what is advised, with the study file in them, so that they can be run as they stand."""

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from search.explanation.cause_share import CauseShare
from search.explanation.repair import Repair
from search.explanation.study_explanation import StudyExplanation
from search.explanation.trial_explanation import TrialExplanation

DEFAULT = Path("study.yaml")  # what a command takes that names no study file

_COMMAND = re.compile(r"(frcnn-search (?:launch|export|explain|doctor))(?=[ `]|$)")
SomeRepair = TypeVar("SomeRepair", Repair, Repair | None)


def study_advice(explanation: StudyExplanation, study_file: Path) -> StudyExplanation:
    """The explanation, whose commands are about this study file."""
    steps = tuple(_with_file(step, study_file) for step in explanation.next_steps)
    causes = tuple(_of_cause(share, study_file) for share in explanation.causes)
    return replace(explanation, next_steps=steps, causes=causes)


def trial_advice(explanation: TrialExplanation, study_file: Path) -> TrialExplanation:
    """The explanation, whose commands are about this study file."""
    alternatives = tuple(_of_repair(repair, study_file) for repair in explanation.alternatives)
    return replace(explanation, repair=_of_repair(explanation.repair, study_file), alternatives=alternatives)


def _of_cause(share: CauseShare, study_file: Path) -> CauseShare:
    return replace(share, repair=_of_repair(share.repair, study_file))


def _of_repair(repair: SomeRepair, study_file: Path) -> SomeRepair:
    return repair and replace(repair, instruction=_with_file(repair.instruction, study_file))


def _with_file(advice: str, study_file: Path) -> str:
    if study_file == DEFAULT:
        return advice
    return _COMMAND.sub(lambda found: f"{found[1]} {shlex.quote(str(study_file))}", advice)
