"""Recognises a dataset folder by its usual layout and names its training and validation data.

Nothing is guessed between two candidates: that is an error.
"""

import contextlib
import shlex
from pathlib import Path

from detector.data.formats.annotation import DataError
from detector.data.formats.folders import Role, folders_of, lines_for, role_of_name
from detector.data.formats.foreign import foreign_kinds
from detector.data.formats.reader import Pair, Reader
from detector.data.formats.suggestion import lines_for_folder
from detector.data.formats.table import READERS
from detector.data.record_folder import record_files
from detector.data_source import DataSource
from detector.similar_path import did_you_mean


def find_sources(folder: Path) -> Pair:
    """Training data and, where the folder has it, validation data; neither has been read.

    In place of a folder, a file of annotations: all that it annotates.

    Raises:
        DataError: no layout fits, or more than one; the message lists what was looked for and what was found.
    """
    if folder.is_file():
        return _of_file(folder)
    if not folder.is_dir():
        raise DataError(
            f"{folder}: there is no such folder or file{did_you_mean(folder)}; name one that holds a dataset"
        )
    below = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    for candidates in ([folder], below):
        found = [(place, pair) for place in candidates if (pair := _recognised(place))]
        if len(found) > 1:
            places = ", ".join(str(place) for place, _ in found)
            raise DataError(f"{folder}: holds several datasets ({places}); name one of them")
        if found:
            return found[0][1]
    looked_for = "\n".join(f"  {layout}" for reader in READERS.values() for layout in reader.layouts)
    if records := record_files(folder):
        raise _as_records(folder, records[0])
    foreign = "".join(f"\n{sentence}" for sentence in foreign_kinds(folder))
    raise DataError(
        f"{folder}: no dataset recognised. Looked here and in the folders below for\n{looked_for}\n"
        f"but {_listing(folder)}{foreign}\nWhere the files lie otherwise, name them in study.yaml:\n\n"
        f"{lines_for_folder(folder)}"
    )


def _of_file(file: Path) -> Pair:
    for reader in READERS.values():
        if pair := reader.of_file(file):
            _refuse_half(file, reader, pair[0].root)
            return pair
    if record_files(file):
        raise _as_records(file, file)
    raise DataError(
        f"{file}: is no COCO file (images, annotations, categories), CSV table of boxes or data.yaml of YOLO; name "
        "one, or the folder of the dataset (a study file is named without --data)"
    )


def _refuse_half(file: Path, reader: Reader, root: Path) -> None:
    """Raise `DataError` if the file is one split of the dataset in the folder, and the other lies there, too."""
    splits = {split.annotations.resolve(): split for split in _splits(root, reader)}
    own = splits.pop(file.resolve(), None)
    if own and splits:
        other = next(iter(splits)).name
        raise DataError(
            f"{file}: is one split of a dataset, and {other} is the other; name its folder, {root}, or this file alone "
            f"in study.yaml:\n\n{lines_for(own)}"
        )


def _splits(folder: Path, reader: Reader) -> list[DataSource]:
    """What the folder is recognised as; nothing, where it is nothing in particular."""
    with contextlib.suppress(DataError):
        return [split for split in reader.recognise(folder) or () if split]
    return []


def _as_records(data: Path, first: Path) -> DataError:
    return DataError(
        f"{data}: {first.name} is a TFRecord file, which holds its images; convert it once:\n"
        f"frcnn-search convert --data {shlex.quote(str(data))} --to coco --output NEW_FOLDER"
    )


def left_alone(folder: Path) -> tuple[str, ...]:
    """The files and folders of a test split, by their names: nothing reads them."""
    if not folder.is_dir():
        return ()
    near = [folder, *(below for below in folders_of(folder, levels=1)[1:] if role_of_name(below) is not Role.TRAINING)]
    found = [child for place in near for child in place.iterdir() if not child.name.startswith(".")]
    tests = [child for child in found if role_of_name(child) is Role.TEST]
    outermost = [child for child in tests if child.parent not in tests]
    return tuple(sorted(child.relative_to(folder).as_posix() for child in outermost if _holds_a_split(child)))


def _holds_a_split(path: Path) -> bool:
    """A folder with something in it, or a file of annotations."""
    return any(path.iterdir()) if path.is_dir() else path.suffix.casefold() in {".json", ".csv", ".txt"}


def _recognised(folder: Path) -> Pair | None:
    return next((pair for reader in READERS.values() if (pair := reader.recognise(folder))), None)


def _listing(folder: Path) -> str:
    names = sorted(f"{child.name}/" if child.is_dir() else child.name for child in folder.iterdir())
    if not names:
        return "the folder is empty"
    return f"found {', '.join(names[:12])}" + (f" and {len(names) - 12} more" if len(names) > 12 else "")
