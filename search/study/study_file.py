"""The study file: read, written for a new dataset, and overridden from the command line."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.config import Canvas
from search.study.document import read_document
from search.study.problems import nearest_key
from search.study.specification import ADAPTER, Specification, specification_from
from search.study.storage_url import default_storage
from search.study.study_text import study_text

#: Options of the command line, and what each one stands over in the file.
OVERRIDES: dict[str, tuple[str, ...]] = {
    "name": ("name",),
    "storage": ("storage",),
    "workers": ("workers",),
    "trainer": ("trainer",),
    "trials": ("budget", "trials"),
    "images": ("budget", "images"),
    "rungs": ("budget", "rungs"),
    "validation_images": ("budget", "validation_images"),
    "canvas": ("detector", "canvas"),
    "weights": ("detector", "weights"),
    "precision": ("detector", "precision"),
    "micro_batch": ("detector", "micro_batch"),
    "sampler": ("sampler", "name"),
    "seed": ("sampler", "seed"),
    "startup_trials": ("sampler", "startup_trials"),
    "pruner": ("pruner", "name"),
    "reduction_factor": ("pruner", "reduction_factor"),
}

_SECTIONS = ("detector", "space", "budget", "sampler", "pruner", "watch")


def load_study_file(path: Path) -> Specification:
    """The study that the file describes; paths in it are relative to its folder, and absolute in the result.

    Without a name the study is called as the file; without a storage it lies in SQLite beside the file.

    Raises:
        StudyFileError: one line for each problem, with where it is, the rule and the value.
    """
    return study_from(read_document(path), path)


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


def with_overrides(specification: Specification, **options: Any) -> Specification:
    """The specification with the options (named in `OVERRIDES`) that are not None over its own values.

    Raises:
        StudyFileError: an option's value breaks a rule of the study file.
        TypeError: there is no such option.
    """
    return _overridden(specification, options).absolute(Path.cwd())


def default_study_text(data_folder: Path, name: str, *, long_side_px: int | None = None, **options: Any) -> str:
    """A study file on a dataset folder: every default shown, each with a short comment.

    Options are those of `with_overrides`, such as `weights="imagenet"`. Paths are written as they are given; the
    long side is that of an automatic canvas on this machine.

    Raises:
        StudyFileError: an option's value breaks a rule of the study file.
    """
    return study_text(_overridden(folder_specification(data_folder, name, long_side_px=long_side_px), options))


def folder_specification(data_folder: Path, name: str, *, long_side_px: int | None = None) -> Specification:
    """A study of that name on a dataset folder, with every other value at its default.

    Raises:
        StudyFileError: the folder or the name can't stand in a study file.
    """
    document: dict[str, Any] = {"name": name, "storage": default_storage(name), "data": {"folder": str(data_folder)}}
    if long_side_px is not None:
        document["detector"] = {"long_side_px": long_side_px}
    return specification_from(document, f"a study on {data_folder}")


def _overridden(specification: Specification, options: Mapping[str, Any]) -> Specification:
    given = {name: value for name, value in options.items() if value is not None}
    document = ADAPTER.dump_python(specification, mode="json")
    for name, value in given.items():
        if name not in OVERRIDES:
            raise TypeError(f"there is no option {name!r}; the nearest is {nearest_key(name, list(OVERRIDES))}")
        *sections, key = OVERRIDES[name]
        section = document
        for step in sections:
            section = section[step]
        section[key] = str(value) if isinstance(value, Canvas | Path) else value
    return specification_from(document, "with " + " ".join(f"--{name.replace('_', '-')}" for name in given))
