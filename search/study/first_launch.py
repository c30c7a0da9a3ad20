"""The study file that `launch --data` writes, with every default shown."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from detector.config import ConfigError, require
from detector.data.layout import find_sources
from detector.data_source import DataSource
from detector.weight_files.starting_point import starting_point
from search.study.detector_section import KNOWN_WEIGHTS, DetectorSection
from search.study.fields import plain_name
from search.study.imported_section import ImportedSection
from search.study.specification import Specification
from search.study.study_file import Options, default_study_text, specification_on
from spaces.fine_tuning import fine_tuning_space


def write_study_file(
    file: Path,
    data: Path,
    options: Options,
    imported: ImportedSection | None = None,
    frozen_stages: int | None = None,
) -> bool:
    """Write a study file on a folder or a file of annotations, and say if it is new: the same may lie there already.
    With an imported trial 0, and the stages that it freezes.

    Dataset and weights are named relative to the file, so that all can move. Of a whole detector the space is that of
    fine-tuning.

    Raises:
        ConfigError: the folder holds no dataset, an option breaks a rule, another file is in the way, or none can be
            written.
    """
    find_sources(data)  # before anything is written
    beside = file.resolve().parent
    section = _section(data, lambda path: os.path.relpath(path.resolve(), beside))
    named = replace(options, name=options.name or study_name(data), weights=_weights(options.weights, beside))
    start = starting_point(options.weights or DetectorSection().weights)
    space = fine_tuning_space(start.anchors) if start.fine_tunes else None
    text = default_study_text(section, named, imported, frozen_stages, space=space)
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        _require_same(file, text)
        return False
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror}); launch from a folder of your own") from None
    return True


def _weights(weights: str | None, beside: Path) -> str | None:
    """As they are named in a file in that folder."""
    return weights if weights is None or weights in KNOWN_WEIGHTS else os.path.relpath(weights, beside)


def dataset_specification(data: Path) -> Specification:
    """The study that `launch --data` would begin on it; nothing is written, and a folder is not looked at.

    Raises:
        ConfigError: it cannot be named in a study file, or is a file that annotates nothing.
    """
    section = _section(data, lambda path: str(path.resolve()))
    return specification_on(section, study_name(data)).absolute(Path.cwd())


def _section(data: Path, write: Callable[[Path], str]) -> dict[str, Any]:
    """The section `data` on a folder, or on a file of annotations, whose splits are named path by path."""
    if not data.is_file():
        return {"folder": write(data)}
    train, validation = find_sources(data)
    splits = {"train": train} | ({"validation": validation} if validation else {})
    return {name: _split(source, write) for name, source in splits.items()}


def _split(source: DataSource, write: Callable[[Path], str]) -> dict[str, Any]:
    paths = {"images": source.images, "annotations": source.annotations, "split": source.split}
    return {key: write(path) for key, path in paths.items() if path} | {"format": str(source.format)}


def study_name(data: Path) -> str:
    """A name for a study on this folder or file: its own, as far as study names allow."""
    whole = data.resolve()
    own = f"{whole.parent.name}-{whole.stem}" if whole.is_file() else whole.name
    return plain_name(own) or "study"


def _require_same(file: Path, text: str) -> None:
    try:
        same = file.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        same = False
    require(
        same,
        f"{file} is there and is not what these options would write; go on with it by `frcnn-search launch {file}`, "
        f"or name another file: `frcnn-search launch other.yaml --data …`",
    )
