"""The study file: read, written for a new dataset, and overridden from the command line."""

import os
import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from detector.config import NamedWeights
from search.study.document import StudyFileError, read_document
from search.study.imported_section import ImportedSection
from search.study.specification import ADAPTER, Specification, specification_from
from search.study.storage_url import default_storage
from search.study.study_text import study_text
from spaces.faster_rcnn import Space

_SECTIONS = ("detector", "space", "budget", "sampler", "pruner", "watch")
_SECTION_OF = {
    "trials": "budget",
    "trainings": "budget",
    "images": "budget",
    "backbone": "detector",
    "canvas": "detector",
    "weights": "detector",
    "seed": "sampler",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Values that a command line sets over those of a study file, by the same keys; None leaves the file's."""

    name: str | None = None
    storage: str | None = None
    workers: int | None = None
    trials: int | None = None
    trainings: float | None = None
    images: int | None = None
    canvas: str | None = None
    backbone: str | None = None
    weights: str | None = None
    seed: int | None = None


def load_study_file(path: Path) -> Specification:
    """The study that the file describes; paths in it are relative to its folder, and absolute in the result.

    Without a name the study is called as the file; without a storage it lies in SQLite beside the file.

    Raises:
        StudyFileError: one line for each problem, with where it is, the rule and the value.
    """
    document = read_document(path)
    _require_study(document, path)
    return study_from(document, path)


def _require_study(document: dict[str, Any], path: Path) -> None:
    """Raise `StudyFileError` for the other files that somebody may take for a study file."""
    quoted = shlex.quote(str(path))
    if "hyperparameters" in document:
        raise StudyFileError(f"{path} is a configuration and no study file; train it: frcnn-search train {quoted}")
    if "data" not in document and {"annotations", "names"} & document.keys():
        raise StudyFileError(f"{path} is a file of annotations and no study file; give it as data: --data {quoted}")


def study_from(document: dict[str, Any], path: Path) -> Specification:
    """The study that the document describes where it stands in a file at this path.

    Raises:
        StudyFileError: one line for each problem, with where it is, the rule and the value.
    """
    # A section whose lines are all commented out is empty, not wrong.
    document = {key: value for key, value in document.items() if value is not None or key not in _SECTIONS}
    document.setdefault("name", path.stem)
    document.setdefault("storage", default_storage(str(document["name"])))
    return specification_from(document, str(path)).absolute(Path(os.path.abspath(path)).parent)


def with_options(specification: Specification, options: Options) -> Specification:
    """The specification with the options over its own values; relative paths are taken from the working folder.

    Raises:
        StudyFileError: an option's value breaks a rule of the study file.
    """
    return _with_options(specification, options).absolute(Path.cwd())


def option_values(specification: Specification) -> dict[str, Any]:
    """The values that options may stand over, by the options' names, as a study file writes them."""
    document = ADAPTER.dump_python(specification, mode="json")
    return {key: document[section][key] for key, section in _SECTION_OF.items()} | {"workers": specification.workers}


def default_study_text(
    data: dict[str, Any],
    options: Options,
    imported: ImportedSection | None = None,
    frozen_stages: int | None = None,
    *,
    space: Space | None = None,
) -> str:
    """A study file on data given as its section: every default shown, each with a short comment; with an imported
    trial 0, and the stages that it freezes; with another space than the default one.

    Paths are written as they are given.

    Raises:
        StudyFileError: an option's value breaks a rule of the study file.
    """
    options_but_name = replace(options, name=None)  # it has it already
    specification = _with_options(specification_on(data, options.name or "study"), options_but_name)
    detector = specification.detector
    if frozen_stages is not None and detector.weights != NamedWeights.NONE:
        detector = replace(detector, frozen_stages=frozen_stages)
    return study_text(replace(specification, imported=imported, detector=detector, space=space or specification.space))


def specification_on(data: dict[str, Any], name: str) -> Specification:
    """A study of that name on data given as its section, with every other value at its default.

    Raises:
        StudyFileError: a path or the name cannot stand in a study file.
    """
    document: dict[str, Any] = {"name": name, "storage": default_storage(name), "data": data}
    return specification_from(document, f"a study on {next(iter(data.values()))}")


def _with_options(specification: Specification, options: Options) -> Specification:
    given = {key: value for key, value in asdict(options).items() if value is not None}
    document = ADAPTER.dump_python(specification, mode="json")
    for key, value in given.items():
        section = document[_SECTION_OF[key]] if key in _SECTION_OF else document
        section[key] = value
    return specification_from(document, "with " + " ".join(f"--{key}" for key in given))
