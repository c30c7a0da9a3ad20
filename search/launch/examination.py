"""What the doctor says of a study, before it exists."""

import shlex
from dataclasses import replace
from pathlib import Path

from detector.config import ConfigError
from search.doctor.diagnosis import examine
from search.doctor.diagnosis_text import diagnostic_lines
from search.doctor.diagnostic import Level
from search.study.specification import Specification
from search.terminal import PlainConsole
from search.worker.local_paths import LocalPaths

MOST_WARNINGS = 3


def require_health(
    specification: Specification, console: PlainConsole, *, study_file: Path, despite_errors: bool
) -> None:
    """Print what the doctor calls an error and the first of its warnings.

    Raises:
        ConfigError: there is an error, and the study is not to begin despite it.
    """
    if specification.trainer != "detector":  # no data is read
        return
    here = replace(specification, data=LocalPaths.here().find(specification.data))
    found = examine(here).diagnostics
    errors = [each for each in found if each.level is Level.ERROR]
    warnings = [each for each in found if each.level is Level.WARNING]
    for each in (*errors, *warnings[:MOST_WARNINGS]):
        console.print(diagnostic_lines(each))
    if len(warnings) > MOST_WARNINGS:
        doctor = f"frcnn-search doctor {shlex.quote(str(study_file))}"
        console.print(f"and {len(warnings) - MOST_WARNINGS} more warnings; all of them: {doctor}")
    if errors and not despite_errors:
        names = ", ".join(each.name for each in errors)
        raise ConfigError(f"the study was not begun: {names}; mend that, or launch with --despite-errors")
