"""What a repair asks of the study file where the study as it stands has no room for it, and the way to a new study.

A study's space never changes under its trials, so a changed file needs a study of its own; `launch --continue-as`
begins it with the best trials of the old one.
"""

import math
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.report.trial_history import TrialHistory
from search.study.default_file import DEFAULT_STUDY_FILE
from search.study.fields import MOST_NAME
from search.study.study_text import parameter_line, setting_line
from spaces.catalogue import DEFINITIONS
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Fixed, Float, Int, Parameter, Value, nearest
from spaces.section import write_parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEdit:
    """Changes of a study file: settings by section, lines of the section `space` to delete, the doctor's ranges."""

    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    removed: tuple[str, ...] = ()  # from the section `space`
    by_doctor: bool = False  # `doctor --write-space` does the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStudy:
    """The study that a changed file begins: its name is one that no study and no file beside it has."""

    file: Path
    name: str
    goes_on: bool  # the old study has a trial with an AP, from which the new one can begin

    @classmethod
    def after(cls, history: TrialHistory, file: Path = DEFAULT_STUDY_FILE, taken: Collection[str] = ()) -> "NewStudy":
        """The one that follows a study whose file that is; `taken` are the names of the studies in its database."""
        goes_on = any(math.isfinite(rung.ap) for each in history.records if not each.failed for rung in each.rungs)
        return cls(file=file, name=_next_name(history.study, file, taken), goes_on=goes_on)

    @property
    def launch(self) -> str:
        """The command that begins it, once the file is changed; where it can't go on, the file must have the name."""
        name = f" --continue-as {shlex.quote(self.name)}" if self.goes_on else ""
        return f"frcnn-search launch {shlex.quote(str(self.file))}{name}"

    @property
    def naming(self) -> str:
        """What else must be changed in the file, as a sentence; empty where `launch` gives the new study its name."""
        return "" if self.goes_on else f"in {self.file}, change its name: `name: {self.name}`"

    @property
    def begin(self) -> str:
        """The same as half a sentence."""
        return f"{self.naming}, and {self.launch}" if self.naming else self.launch

    def steps(self, edit: StudyEdit | None) -> tuple[str, ...]:
        """What to do, one step after the other, each as a line or a few; empty where the study can stay as it is."""
        return tuple(self._steps(edit)) if edit else ()

    def _steps(self, edit: StudyEdit) -> Iterator[str]:
        for section, settings in edit.settings.items():
            line = parameter_line if section == "space" else _line_of(section)
            lines = (f"  {line(name, value)}" for name, value in settings.items())
            yield "\n".join([f"in {self.file}, set in the section {section}:", *lines])
        if edit.removed:
            yield f"in {self.file}, delete from the section space: {', '.join(edit.removed)}"
        if edit.by_doctor:
            yield f"frcnn-search doctor {shlex.quote(str(self.file))} --write-space"
        if self.naming:
            yield self.naming
        yield self.launch


def widening(space: Space, values: Mapping[str, Value]) -> StudyEdit | None:
    """The entries that make room for those values in the space; None where they lie in it."""
    outside = {name: value for name, value in values.items() if not space.parameters[name].contains(value)}
    entries = {name: write_parameter(_widened(name, space.parameters[name], value)) for name, value in outside.items()}
    return StudyEdit(settings={"space": entries}) if entries else None


def within_reach(parameter: Parameter, before: Value, after: Value) -> Value:
    """The value of the parameter nearest to `after` where that is most of the way from `before`; else `after`."""
    if parameter.contains(after) or any(isinstance(value, str) for value in (before, after)):
        return after
    here, there, inside = (float(value) for value in (before, after, nearest(parameter, after)))
    between = min(here, there) <= inside <= max(here, there)
    return nearest(parameter, after) if between and _share_of_way(here, there, inside) >= 0.5 else after


def _share_of_way(here: float, there: float, inside: float) -> float:
    if min(here, there, inside) > 0:
        here, there, inside = math.log(here), math.log(there), math.log(inside)
    return (inside - here) / (there - here)


def _widened(name: str, parameter: Parameter, value: Value) -> Parameter:
    """The parameter with room for the value, and all that it had."""
    match parameter:
        case Float(low=low, high=high, log=log):
            low, high = min(low, float(value)), max(high, float(value))
            return Float(low=low, high=high, log=log and low > 0)
        case Int(low=low, high=high, step=step, log=log):
            if (int(value) - low) % step == 0:
                return Int(low=min(low, int(value)), high=max(high, int(value)), step=step, log=log)
            return Int(low=min(low, int(value)), high=max(high, int(value)), step=1, log=log)
        case Categorical(values=values):
            return Categorical(values=(*values, value))
        case Fixed(value=own):
            default = DEFINITIONS[name].default
            if not isinstance(default, Float) or isinstance(own, str) or isinstance(value, str):
                return Categorical(values=(own, value))
            low, high = sorted((float(own), float(value)))
            return Float(low=low, high=high, log=default.log and low > 0)


def _line_of(section: str) -> Any:
    return lambda key, value: setting_line(section, key, value)


def _next_name(name: str, file: Path, taken: Collection[str]) -> str:
    """The name with the next free number behind it."""
    base, number = name, 2
    if found := re.fullmatch(r"(.+)-(\d{1,6})", name):
        base, number = found[1], int(found[2]) + 1
    while True:
        new = f"{base[: MOST_NAME - 8]}-{number}"
        if new not in taken and not file.with_name(f"{new}.yaml").exists():
            return new
        number += 1
