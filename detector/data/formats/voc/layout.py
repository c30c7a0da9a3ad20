"""Recognises Pascal VOC data in a folder: XML files that look like it, by their content, and where their images lie."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PureWindowsPath

from detector.data.formats.annotation import DataError
from detector.data.formats.folders import Role, files_in, folders_of, only_source, refuse_without_training, role_of
from detector.data.formats.image_list import EXTENSIONS
from detector.data.formats.reader import Pair
from detector.data.formats.voc.xml_file import parse_annotation
from detector.data_source import DataFormat, DataSource

LAYOUTS = (
    "a folder of Pascal VOC XML files, for each split or one for all (Annotations/, with ImageSets/Main/train.txt), "
    "and the images beside them or in a folder",
)
HEAD_BYTES = 4096
MOST_LOOKED_AT = 20  # XML files of a folder


def recognise_voc(folder: Path) -> Pair | None:
    """Training and validation data of the folder, or None; neither has been read.

    Raises:
        DataError: several folders fit.
    """
    folders = folders_of(folder)
    found = [place for place in folders if any(_looks_like_voc(file) for file in _first_files(place))]
    by_role = {role: [place for place in found if _role(place, folder) is role] for role in (*Role, None)}

    def source(place: Path) -> DataSource:
        images, split = _image_folder(place, folder, folders), _list(place, "train", "trainval")
        return DataSource(format=DataFormat.VOC, images=images, annotations=place, split=split)

    train = only_source(by_role[Role.TRAINING] or by_role[None], Role.TRAINING, folder, source)
    if train is None:
        refuse_without_training(found, folder, source)
        return None
    if train.split:
        held_out = _list(train.annotations, "val", "valid", "validation") if train.split.stem == "train" else None
        return train, replace(train, split=held_out) if held_out else None
    return train, only_source(by_role[Role.VALIDATION], Role.VALIDATION, folder, source)


def _role(place: Path, folder: Path) -> Role | None:
    return None if place == folder else role_of(place, folder)


def _first_files(place: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from itertools.islice(files_in(place, ".xml"), MOST_LOOKED_AT)


def _looks_like_voc(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES).replace(b"\0", b"")  # UTF-16
    except OSError:
        return False
    return b"<annotation" in head and (b"<object" in head or b"<size" in head or b"<filename" in head)


def _list(annotations: Path, *names: str) -> Path | None:
    """The first of the lists of images beside the folder that is there."""
    places = (annotations.parent / "ImageSets" / "Main", annotations.parent / "ImageSets", annotations.parent)
    lists = (place / f"{name}.txt" for name in names for place in places)
    return next((file for file in lists if file.is_file()), None)


def _image_folder(annotations: Path, folder: Path, folders: list[Path]) -> Path:
    """The folder that holds the images of the first XML files, before all one of the same split and dataset."""
    role = _role(annotations, folder)
    names = [name for file in _first_files(annotations) for name in _image_names(file)]

    def rank(place: Path) -> tuple[bool, bool, bool]:
        return _role(place, folder) is not role, place.parent != annotations.parent, place != annotations

    ranked = sorted(folders, key=rank)
    usual = annotations.parent / "JPEGImages"
    for place in (usual, *ranked):
        if any((place / name).is_file() for name in names):
            return place
    return usual if usual.is_dir() else annotations


def _image_names(file: Path) -> list[str]:
    """The names that the image of an XML file may have."""
    plain = [f"{file.stem}{suffix}" for each in EXTENSIONS for suffix in (each, each.upper())]
    with contextlib.suppress(DataError, OSError):  # reading it later says so
        stated = (parse_annotation(file.read_bytes(), file).findtext("filename") or "").strip()
        base = PureWindowsPath(stated).name
        return [*plain, base] if base and "\0" not in base else plain
    return plain
