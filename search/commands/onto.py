"""`export --onto FILE`: the file that trial 0 came from, with other values."""

from pathlib import Path

from detector.config import ConfigError, Hyperparameters, require
from search.commands.results import OURS
from search.explanation.repair import Area
from search.explanation.repair_choice import repaired
from search.explanation.trial_explanation import explain_trial
from search.export.export import choose
from search.imports.framework import Framework
from search.imports.onto import Basis, onto
from search.imports.recognition import read_text
from search.report.ranking import ranking
from search.report.trial_history import TrialHistory, read_trial_history
from search.study.imported_section import ImportedSection
from search.study.specification import Specification
from storage.study import StoredStudy


def write_onto(
    study: StoredStudy, specification: Specification, *, file: Path, output: Path, trial: int | None, format: str
) -> str:
    """Write the file anew and say what changed, and what it has no word for.

    Without the number of a trial the values are those that mend trial 0 where that failed, else the best trial's.

    Raises:
        ConfigError: trial 0 came from no file or from another, the output is there, or no trial can be taken.
    """
    history = read_trial_history(study, specification)
    imported = history.specification.imported
    if imported is None:
        raise ConfigError(f"--onto {file}: trial 0 of this study came from no file; begin one by `launch --from FILE`")
    basis = _basis(file, imported)
    require(
        format in (OURS, str(basis.framework)),
        f"--format is {format}, but trial 0 came from a file of {imported.framework}; leave it out",
    )
    text = read_text(file)
    require(
        basis.read(text)[1] == imported.hyperparameters,
        f"{file} is not what trial 0 was made of ({imported}): it means something else; give that file",
    )
    target, whose = _target(study, history, trial)
    done = onto(text, basis, target)
    _write(output, done.text)
    lines = [f"wrote {output}: {file} with {whose}", *(f"  {change}" for change in done.changes)]
    lines += [f"  not written, for the file has no word for it: {each}" for each in done.unwritten]
    return "\n".join(lines if done.changes else [*lines, "  nothing in it changes"])


def _basis(file: Path, imported: ImportedSection) -> Basis:
    framework = next((each for each in Framework if each.full_name == imported.framework), None)
    if framework is None:
        raise ConfigError(f"imported.framework must be one that is known here, but is {imported.framework!r}")
    return Basis(file=file, framework=framework, gpus=imported.gpus, images=imported.images, scale=imported.scale)


def _target(study: StoredStudy, history: TrialHistory, trial: int | None) -> tuple[Hyperparameters, str]:
    """What the file is to mean, and whose values those are."""
    first = next((record for record in history.records if record.number == 0), None)
    if trial in (None, 0) and first is not None and first.failed:
        explanation = explain_trial(study, history, 0)
        repairs = [each for each in (explanation.repair, *explanation.alternatives) if each is not None]
        change = next((each for each in repairs if each.area is Area.PARAMETER), None)
        if change is not None:
            return repaired(first, history, change), f"what should mend trial 0 ({change.instruction})"
    number = choose(ranking(study), trial).number
    own = history.record(number).hyperparameters
    if own is None:
        raise ConfigError(f"trial {number} has values outside of the study's space; choose another")
    return own, f"the values of trial {number}"


def _write(output: Path, text: str) -> None:
    try:
        with output.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise ConfigError(f"{output} is there; choose another --output, or move it away") from None
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written ({error.strerror}); choose another --output") from None
