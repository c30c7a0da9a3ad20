"""Recognises COCO data in a folder: JSON files that look like it, by their content, and where their images lie."""

import contextlib
import itertools
import mmap
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from detector.data.formats.folders import Role, files_in, folders_of, only_source, refuse_without_training, role_of
from detector.data.formats.image_folder import image_folder, image_folder_near
from detector.data.formats.reader import Pair
from detector.data_source import DataFormat, DataSource
from detector.json_text import read_json

LAYOUTS = (
    "one or several COCO JSON files, named for their split (annotations/instances_train2017.json, train.json, "
    "train/_annotations.coco.json) or alone (labels.json), with the images beside them or in a folder",
)
LEVELS = 2
MOST_LOOKED_AT = 2_000  # JSON files
MOST_NAMES = 20

_KEYS = tuple(re.compile(rb'"%s"\s*:' % key) for key in (b"images", b"annotations", b"categories"))
_FILE_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')


def recognise_coco(folder: Path) -> Pair | None:
    """Training and validation data of the folder, or None; neither has been read.

    Raises:
        DataError: several files fit.
    """
    folders = folders_of(folder, levels=LEVELS)
    files = [file for file in itertools.islice(_json_files(folders), MOST_LOOKED_AT) if _looks_like_coco(file)]
    by_role = {role: _preferred(file for file in files if role_of(file, folder) is role) for role in (*Role, None)}
    everywhere = folders_of(folder)

    def source(file: Path) -> DataSource:
        images = image_folder(_file_names(file), file, folder, everywhere)
        return DataSource(format=DataFormat.COCO, images=images, annotations=file)

    train = only_source(by_role[Role.TRAINING] or by_role[None], Role.TRAINING, folder, source)
    if train is None:
        refuse_without_training(files, folder, source)
        return None
    return train, only_source(by_role[Role.VALIDATION], Role.VALIDATION, folder, source)


def coco_of_file(file: Path) -> Pair | None:
    """All that the file annotates, as training data; None where it is no COCO file."""
    if file.suffix.casefold() != ".json" or not _looks_like_coco(file):
        return None
    images = image_folder_near(_file_names(file), file)
    return DataSource(format=DataFormat.COCO, images=images, annotations=file), None


def _json_files(folders: Iterable[Path]) -> Iterator[Path]:
    for place in folders:
        with contextlib.suppress(OSError):
            yield from files_in(place, ".json")


def _preferred(files: Iterable[Path]) -> list[Path]:
    """Of several the instances: COCO has files of key points and captions beside them."""
    found = list(files)
    return [file for file in found if file.stem.startswith("instances")] or found


def _looks_like_coco(file: Path) -> bool:
    """Whether it has the three lists, without parsing it; one that a mistake keeps from having them is named so."""
    if re.fullmatch(r"instances_.*|train|val|valid|validation|_annotations\.coco", file.stem):
        return True
    with _content(file) as content:
        return all(key.search(content) for key in _KEYS)


@contextlib.contextmanager
def _content(file: Path) -> Iterator["mmap.mmap | bytes"]:
    """The bytes of a file of any size; none where it can't be read, or is empty."""
    try:
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
    except (OSError, ValueError):
        yield b""


def _file_names(annotations: Path) -> list[str]:
    """The first file names in the JSON, which may have hundreds of megabytes and is not parsed."""
    names: list[str] = []
    with _content(annotations) as content, contextlib.suppress(ValueError):  # no text: reading it later says so
        for match in itertools.islice(_FILE_NAME.finditer(content), MOST_NAMES):
            name = read_json(match.group(1))
            names += [name] if name and "\0" not in name else []
    return names
