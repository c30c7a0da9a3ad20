"""What the names of files and folders say of the split that they hold, and the folders of a dataset."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from detector.data.formats.annotation import DataError
from detector.data_source import DataSource

LEVELS = 3  # below the folder that is named: VOCdevkit/VOC2012/Annotations
MOST_FOLDERS = 2_000
MOST_NAMED = 12


class Role(StrEnum):
    """What a split is for."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


_WORDS = {
    Role.TRAINING: {"train", "training", "trainset", "traindata"},
    Role.VALIDATION: {"val", "valid", "validation", "minival", "dev", "eval", "valset"},
    Role.TEST: {"test", "testing", "testset", "testdev"},
}


def role_of(path: Path, below: Path) -> Role | None:
    """The role of a file or folder by its own name, then by those of the folders between, innermost first."""
    parts = [path, *path.parents][: len(path.relative_to(below).parts)]
    return next((role for part in parts if (role := role_of_name(part))), None)


def role_of_name(path: Path) -> Role | None:
    """The role by the last part of the path alone."""
    words = set(re.findall(r"[a-z]+", path.stem.casefold()))
    return next((role for role, known in _WORDS.items() if words & known), None)


def folders_of(folder: Path, *, levels: int = LEVELS) -> list[Path]:
    """The folder and those below it, the nearest first; hidden ones are left out."""
    found, level = [folder], [folder]
    for _ in range(levels):
        level = [below for place in level for below in _below(place)]
        found += level
        if len(found) > MOST_FOLDERS:
            break
    return found[:MOST_FOLDERS]


def files_in(folder: Path, suffix: str) -> Iterator[Path]:
    """The files with that suffix, whatever its case, by name; hidden ones are left out."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.casefold().endswith(suffix))
    return (folder / name for name in names if not name.startswith("."))


def only_source(
    found: Iterable[Path], role: Role, folder: Path, source_of: Callable[[Path], DataSource]
) -> DataSource | None:
    """The data of the only path, or None where there is none.

    Raises:
        DataError: there are several.
    """
    paths = sorted(found)
    if len(paths) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in paths[:MOST_NAMED])
        raise DataError(
            f"{folder}: several fit as {role} data ({names}); name the folder of one, or name the files in "
            f"study.yaml, for example\n\n{lines_for(source_of(paths[0]))}"
        )
    return source_of(paths[0]) if paths else None


def refuse_without_training(found: Iterable[Path], folder: Path, source_of: Callable[[Path], DataSource]) -> None:
    """Raise `DataError` if there is anything at all: by its names it is for validation or tests alone."""
    paths = sorted(found)
    names = ", ".join(str(path.relative_to(folder)) for path in paths[:MOST_NAMED])
    if names:
        raise DataError(
            f"{folder}: by their names, {names} are validation or test data, and nothing is training data; name one "
            f"of them train, or name the files in study.yaml, for example\n\n{lines_for(source_of(paths[0]))}"
        )


def lines_for(source: DataSource) -> str:
    """The section of study.yaml that names this source for training."""
    split = f", split: {source.split}" if source.split else ""
    return f"data:\n  train: {{images: {source.images}, annotations: {source.annotations}{split}}}"


def _below(place: Path) -> list[Path]:
    try:
        with os.scandir(place) as entries:
            return [place / name for name in sorted(e.name for e in entries if e.is_dir() and e.name[0] != ".")]
    except OSError:  # not ours to read
        return []
