"""Recognises a folder of COCO data by its usual layouts."""

import contextlib
import mmap
import re
from pathlib import Path

from detector.data.formats.annotation import DataError
from detector.data.formats.reader import Pair
from detector.data_source import DataFormat, DataSource
from detector.json_text import read_json

LAYOUTS = (
    "annotations/instances_train*.json and instances_val*.json, with train*/, val*/ or images/ (COCO)",
    "train.json and val.json, with images/ or the images beside them (COCO)",
    "train/_annotations.coco.json and valid/_annotations.coco.json, with the images beside them (COCO, Roboflow)",
)
VALIDATION_NAMES = ("val", "valid", "validation")

_FILE_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')


def recognise_coco(folder: Path) -> Pair | None:
    """Training and validation data of the folder, or None; neither has been read.

    Raises:
        DataError: several files fit.
    """
    return _instances(folder) or _named_pair(folder) or _roboflow(folder)


def _instances(folder: Path) -> Pair | None:
    annotations = folder / "annotations"
    train = _only(annotations, "instances_train*.json") or _only(annotations, "instances_default.json")
    if train is None:
        return None
    validation = _only(annotations, "instances_val*.json")
    return _coco(train, folder), None if validation is None else _coco(validation, folder)


def _named_pair(folder: Path) -> Pair | None:
    for place in (folder, folder / "annotations"):
        train = place / "train.json"
        if train.is_file():
            validation = next((file for name in VALIDATION_NAMES if (file := place / f"{name}.json").is_file()), None)
            return _coco(train, folder), None if validation is None else _coco(validation, folder)
    return None


def _roboflow(folder: Path) -> Pair | None:
    found = [
        folder / name / "_annotations.coco.json"
        for name in ("train", *VALIDATION_NAMES)
        if (folder / name / "_annotations.coco.json").is_file()
    ]
    if not found or found[0].parent.name != "train":
        return None
    pair = [DataSource(format=DataFormat.COCO, images=file.parent, annotations=file) for file in found]
    return pair[0], pair[1] if len(pair) > 1 else None


def _only(folder: Path, pattern: str) -> Path | None:
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise DataError(f"{folder}: {pattern} fits several files ({names}); name the files one by one in study.yaml")
    return found[0] if found else None


def _coco(annotations: Path, folder: Path) -> DataSource:
    return DataSource(format=DataFormat.COCO, images=_image_folder(annotations, folder), annotations=annotations)


def _image_folder(annotations: Path, folder: Path) -> Path:
    """The folder that holds the first image that the JSON names, among the usual ones."""
    split = annotations.stem.removeprefix("instances_")
    names = [split, *(VALIDATION_NAMES if split.startswith("val") else ["train"] if split.startswith("train") else [])]
    usual = [path for name in names for path in (folder / name, folder / "images" / name, folder / name / "images")]
    candidates = [path for path in (*usual, folder / "images", annotations.parent, folder) if path.is_dir()]
    first = _first_file_name(annotations)
    if first is not None:
        for path in candidates:
            with contextlib.suppress(OSError):  # a name that no file system takes
                if (path / first).is_file():
                    return path
    return candidates[0]  # reading will say which image it misses there


def _first_file_name(annotations: Path) -> str | None:
    """The first file name in the JSON, which may have hundreds of megabytes and is not parsed."""
    try:
        with annotations.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            match = _FILE_NAME.search(content)
            name = read_json(match.group(1)) if match else None
    except (OSError, ValueError):  # unreadable, empty or no JSON: reading it later says so
        return None
    return name if name and "\0" not in name else None
