"""`export --onto FILE`: the file that trial 0 came from, mended, with other values."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from detector.config import ConfigError, Hyperparameters, require
from search.commands.results import OURS
from search.explanation.repair_choice import repaired, trial_repair
from search.export.export import choose
from search.imports.edit.basis import Basis, Onto
from search.imports.edit.mending import mended
from search.imports.edit.onto import onto
from search.imports.framework import Framework
from search.imports.recognition import read_text
from search.report.ranking import ranking
from search.report.trial_history import TrialHistory, TrialRecord, read_trial_history
from search.study.imported_section import ImportedSection
from search.study.specification import Specification
from storage.study import StoredStudy

BY_HAND = "torchvision has no file: this is its description, which --from reads; change the training script alike"

Target = Callable[[Hyperparameters], Hyperparameters]  # from what the mended file means to what it is to mean


def write_onto(
    study: StoredStudy, specification: Specification, *, file: Path, output: Path, trial: int | None, format: str
) -> str:
    """Write the file anew and say what changed, and what it has no word for.

    What the linter found is mended where it has one right value. Without the number of a trial the other values are
    those that mend trial 0 where that failed, else the best trial's.

    Raises:
        ConfigError: trial 0 came from no file or from another, the output is there, or no trial can be taken.
    """
    history = read_trial_history(study, specification)
    imported = history.specification.imported
    if imported is None:
        raise ConfigError(f"--onto {file}: trial 0 of this study came from no file; begin one by `launch --from FILE`")
    basis = basis_of(file, imported)
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
    done = given_back(text, basis, imported, target)
    _write(output, done.text)
    lines = [f"wrote {output}: {file} with {whose}", *(f"  {change}" for change in done.changes)]
    lines += [f"  not written, for the file has no word for it: {each}" for each in done.unwritten]
    lines += [f"  {BY_HAND}"] if basis.framework is Framework.TORCHVISION else []
    return "\n".join(lines if done.changes else [*lines, "  nothing in it changes"])


def basis_of(file: Path, imported: ImportedSection) -> Basis:
    """How trial 0 was made of the file.

    Raises:
        ConfigError: its framework is none that is known here.
    """
    framework = next((each for each in Framework if each.full_name == imported.framework), None)
    if framework is None:
        raise ConfigError(f"imported.framework must be one that is known here, but is {imported.framework!r}")
    return Basis(file=file, framework=framework, gpus=imported.gpus, images=imported.images, scale=imported.scale)


def given_back(text: str, basis: Basis, imported: ImportedSection, target: Target) -> Onto:
    """The text with what the linter found mended, and what the target has other than that."""
    first = mended(text, basis, imported.mends)
    return onto(first.text, basis, target(basis.read(first.text)[1])).after(first)


def mending_target(first: TrialRecord, history: TrialHistory) -> tuple[Target, str] | None:
    """The repair that comes first of those that the failed trial's own values can hold, and its words; None: none."""
    change = trial_repair(first, history)
    if change is None or first.hyperparameters is None:
        return None
    zero, better = first.hyperparameters, repaired(first, history, change)
    return lambda own: _over(own, zero, better), change.instruction


def _over(own: Hyperparameters, zero: Hyperparameters, better: Hyperparameters) -> Hyperparameters:
    """The mended file's own values with those that the repair changes."""
    names = [field.name for field in fields(Hyperparameters)]
    changed = {name: getattr(better, name) for name in names if getattr(better, name) != getattr(zero, name)}
    if "lr_per_16" in changed and own.lr_per_16 < zero.lr_per_16:  # the linter lowered it, too
        changed["lr_per_16"] = min(changed["lr_per_16"], own.lr_per_16)
    try:
        return replace(own, **changed)
    except ConfigError:  # such as a warm-up of the one beyond a drop of the other
        return better


def _target(study: StoredStudy, history: TrialHistory, trial: int | None) -> tuple[Target, str]:
    """What the file is to mean, and whose values those are."""
    first = next((record for record in history.records if record.number == 0), None)
    if trial in (None, 0) and first is not None and first.failed and (found := mending_target(first, history)):
        return found[0], f"what should mend trial 0 ({found[1]})"
    number = choose(ranking(study), trial).number
    if number == 0:
        return lambda own: own, "the values of trial 0, which are its own"
    values = history.record(number).hyperparameters
    if values is None:
        raise ConfigError(f"trial {number} has values outside of the study's space; choose another")
    return lambda _: values, f"the values of trial {number}"


def _write(output: Path, text: str) -> None:
    try:
        with output.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise ConfigError(f"{output} is there; choose another --output, or move it away") from None
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written ({error.strerror}); choose another --output") from None
