"""The study file that `launch --data` writes, with every default shown."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from detector.config import ConfigError, NamedWeights, require
from detector.data.layout import find_sources
from detector.data_source import DataSource
from detector.weight_files.starting_point import starting_point
from search.study.detector_section import KNOWN_WEIGHTS
from search.study.fields import plain_name
from search.study.imported_section import ImportedSection
from search.study.specification import Specification
from search.study.study_file import Options, default_study_text, load_study_file, specification_on
from spaces.fine_tuning import fine_tuning_space


def write_study_file(
    file: Path,
    data: Path,
    options: Options,
    imported: ImportedSection | None = None,
    frozen_stages: int | None = None,
    *,
    choose_weights: Callable[[], str] = lambda: NamedWeights.NONE,
) -> bool:
    """Write a study file on a folder or a file of annotations, and say if it is new: the same may lie there already.
    With an imported trial 0, and the stages that it freezes. `choose_weights` is asked where the options name none, and
    no file that is there already does.

    Dataset and weights are named relative to the file, so that all can move. Of a whole detector the space is that of
    fine-tuning.

    Raises:
        ConfigError: the folder holds no dataset, an option breaks a rule, another file is in the way, or none can be
            written.
    """
    find_sources(data)  # before anything is written
    beside = file.resolve().parent
    section = _section(data, lambda path: os.path.relpath(path.resolve(), beside))
    named = replace(options, name=options.name or study_name(data))
    if options.weights is None:
        default_study_text(section, named, imported, frozen_stages)  # what is wrong with other options is said first
        weights = _standing_weights(file) or _chosen(file, choose_weights)
    else:
        weights = options.weights
    start = starting_point(weights)
    space = fine_tuning_space(start.anchors) if start.fine_tunes else None
    named = replace(named, weights=_beside(weights, beside))
    text = default_study_text(section, named, imported, frozen_stages, space=space)
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        _require_same(file, text)
        return False
    except OSError as error:
        raise _unwritable(file, error) from None
    return True


def _unwritable(file: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{file}: cannot be written ({error.strerror}); launch from a folder of your own")


def _standing_weights(file: Path) -> str | None:
    """What a study file that is there begins with: the same command again means the same."""
    if not file.is_file():
        return None
    try:
        return load_study_file(file).detector.weights
    except ConfigError:
        return NamedWeights.NONE  # it is not what the options would write, and that is said


def _chosen(file: Path, choose: Callable[[], str]) -> str:
    """The answer to a question that may take long, asked where its answer can be written."""
    try:
        file.open("x").close()
        file.unlink()
    except FileExistsError:  # a folder: what is in the way is said where the file is to be written
        return NamedWeights.NONE
    except OSError as error:
        raise _unwritable(file, error) from None
    return choose()


def _beside(weights: str, beside: Path) -> str:
    """As they are named in a file in that folder."""
    return str(weights) if weights in KNOWN_WEIGHTS else os.path.relpath(weights, beside)


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
