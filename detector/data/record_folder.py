"""Unpacks TFRecord files of the TensorFlow Object Detection API into a COCO dataset with its images."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from PIL import Image as Pillow

from detector.data.formats.annotation import DataError
from detector.data.formats.folders import Role, folders_of, role_of
from detector.data.formats.tfrecord import Values, read_examples
from detector.data.image_file import FORMATS

_RECORDS = re.compile(r".*\.(tfrecords?|record)(-\d+-of-\d+)?$", re.IGNORECASE)
_ITEM = re.compile(r"item\s*\{([^}]*)\}", re.IGNORECASE)
_NAMES = {Role.TRAINING: "train", Role.VALIDATION: "val", Role.TEST: "test", None: "train"}


def record_files(folder: Path) -> list[Path]:
    """The TFRecord files of the folder and of those below, in order; or the file itself, where it is one."""
    if folder.is_file():
        return [folder] if _RECORDS.fullmatch(folder.name) else []
    places = folders_of(folder, levels=2) if folder.is_dir() else []
    return [file for place in places for file in sorted(place.iterdir()) if _RECORDS.fullmatch(file.name)]


def unpack(folder: Path, into: Path) -> Path:
    """Write images and COCO files of all splits into a folder, and return it.

    Raises:
        DataError: there is no record, or one can't be understood.
    """
    splits: dict[str, list[Path]] = {}
    for file in record_files(folder):
        splits.setdefault(_NAMES[role_of(file, folder)], []).append(file)
    labels = _label_map(folder.parent if folder.is_file() else folder)
    (into / "annotations").mkdir(parents=True)
    for split, files in splits.items():
        document = _Document(into / "images" / split, labels)
        for file in files:
            for number, example in enumerate(read_examples(file)):
                document.add(example, f"{file}: record {number}")
        (into / "annotations" / f"instances_{split}.json").write_text(json.dumps(document.finished()))
    return into


class _Document:
    """A COCO document, which grows by an example at a time, and the folder of its images."""

    def __init__(self, folder: Path, labels: dict[int, str]) -> None:
        self._folder, self._labels = folder, labels
        self._ids: dict[str, int] = {}
        self._images: list[dict[str, Any]] = []
        self._boxes: list[dict[str, Any]] = []
        folder.mkdir(parents=True)

    def add(self, example: dict[str, Values], place: str) -> None:
        """The image as a file, and its boxes."""
        encoded = _texts(example, "image/encoded")
        if not encoded:
            raise DataError(f"{place} has no image/encoded; these are no examples of the Object Detection API")
        width, height, suffix = _looked_at(encoded[0], place)
        number = len(self._images) + 1
        stated = (_texts(example, "image/filename") or [b""])[0].decode("utf-8", "replace")
        name = f"{number:06d}_{re.sub(r'[^A-Za-z0-9._-]', '_', PureWindowsPath(stated).stem)[:80]}{suffix}"
        (self._folder / name).write_bytes(encoded[0])
        self._images.append({"id": number, "file_name": name, "width": width, "height": height})
        for (x1, y1, x2, y2), label, crowd in self._objects(example, place):
            self._boxes.append({
                "id": len(self._boxes) + 1, "image_id": number, "category_id": label, "iscrowd": crowd,
                "bbox": [x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height],
            })  # fmt: skip

    def finished(self) -> dict[str, Any]:
        """The document."""
        categories = [{"id": number, "name": name} for name, number in self._ids.items()]
        return {"images": self._images, "annotations": self._boxes, "categories": categories}

    def _objects(
        self, example: dict[str, Values], place: str
    ) -> Iterator[tuple[tuple[float, float, float, float], int, int]]:
        sides = [_numbers(example, f"image/object/bbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
        names = [text.decode("utf-8", "replace") for text in _texts(example, "image/object/class/text")]
        if not names:
            names = [self._name(int(label), place) for label in _numbers(example, "image/object/class/label")]
        marks = _numbers(example, "image/object/is_crowd") or _numbers(example, "image/object/difficult")
        if {len(side) for side in sides} != {len(names)}:
            raise DataError(f"{place} has {len(sides[0])} boxes and {len(names)} classes; write it again")
        for index, (x1, y1, x2, y2) in enumerate(zip(*sides, strict=True)):
            label = self._ids.setdefault(names[index], len(self._ids) + 1)
            yield (x1, y1, x2, y2), label, int(bool(marks[index])) if len(marks) == len(names) else 0

    def _name(self, label: int, place: str) -> str:
        if label not in self._labels:
            raise DataError(f"{place}: class {label} has no name; put the label map (.pbtxt) beside the records")
        return self._labels[label]


def _looked_at(encoded: bytes, place: str) -> tuple[int, int, str]:
    """Width and height in pixels, and the suffix, of an encoded image."""
    try:
        with Pillow.open(io.BytesIO(encoded), formats=FORMATS) as picture:
            return picture.width, picture.height, f".{picture.format}".lower().replace("jpeg", "jpg")
    except Exception as error:  # a decoder that is fed with garbage may raise nearly anything
        raise DataError(f"{place}: image/encoded is no image: {error}") from error


def _label_map(folder: Path) -> dict[int, str]:
    """Class names by number, of the .pbtxt files of the folder."""
    found: dict[int, str] = {}
    for place in folders_of(folder, levels=2):
        for file in sorted(place.glob("*.pbtxt")):
            for item in _ITEM.findall(file.read_text(encoding="utf-8", errors="replace")):
                number = re.search(r"\bid\s*:\s*(\d{1,9})", item)
                name = re.search(r"\b(?:display_)?name\s*:\s*([\"'])(.*?)\1", item)
                if number and name:
                    found[int(number.group(1))] = name.group(2)
    return found


def _texts(example: dict[str, Values], key: str) -> list[bytes]:
    return [value for value in example.get(key, []) if isinstance(value, bytes)]


def _numbers(example: dict[str, Values], key: str) -> list[float]:
    return [float(value) for value in example.get(key, []) if not isinstance(value, bytes)]
