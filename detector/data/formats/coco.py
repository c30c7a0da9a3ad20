"""Reads COCO JSON. Strict on structure; whether boxes and images make sense is checked by `dataset`.

Image, annotation and category ids are arbitrary integers; they are mapped, never assumed contiguous.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from detector.data.formats.annotation import AnnotatedBox, AnnotatedImage, Annotations, DataError, Fault
from detector.data.formats.coco_layout import LAYOUTS, recognise_coco
from detector.data.formats.json_stream import JsonStream, NoObject
from detector.data.formats.reader import Floats, Reader
from detector.data_source import DataSource

Entry = dict[str, Any]


def read_coco(source: DataSource) -> Annotations:
    """The annotations in the JSON file of the source, images in the file's order.

    Raises:
        DataError: the file is missing, isn't JSON, or breaks a rule of the format; the message names the position.
    """
    content, digest = _read(source.annotations)
    images = tuple(
        replace(image, boxes=tuple(content.boxes.pop(number, ()))) for number, image in content.images.items()
    )
    return Annotations(images=images, categories=dict(sorted(content.categories.items())), digest=digest)


def _read(file: Path) -> tuple["_Content", str]:
    """What the file holds, checked, and the digest of its bytes."""
    content = _Content(file)
    try:
        with _opened(file) as opened:
            stream = JsonStream(opened)
            for key, value in stream.members():
                content.take(key, value)
    except DataError:
        raise
    except json.JSONDecodeError as error:
        reason = f"not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        raise DataError(f"{file}: {reason}; export the file again") from error
    except RecursionError as error:
        raise DataError(f"{file}: the JSON is nested too deeply for COCO annotations") from error
    except NoObject as error:
        raise DataError(f"{file}: a COCO file holds one JSON object, but this is a {error}") from error
    except OSError as error:
        raise DataError(f"{file}: the annotation file can't be read: {error}") from error
    except ValueError as error:  # not UTF-8, or an integer of thousands of digits
        raise DataError(f"{file}: not valid JSON: {error}; export the file again as UTF-8") from error
    content.check()
    return content, stream.digest


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{file}: the annotation file is missing; check the path") from error
    except (OSError, ValueError) as error:  # a NUL in the path
        raise DataError(f"{file}: the annotation file can't be read: {error}") from error


class _Content:
    """What is kept of the file while it streams by. Its lists may come in any order, so `check` looks across them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lists: dict[str, str] = dict.fromkeys(("categories", "images", "annotations"), "is missing")
        self.categories: dict[int, str] = {}
        self.images: dict[int, AnnotatedImage] = {}  # by id, still without its boxes
        self.boxes: dict[int, list[AnnotatedBox]] = {}  # by image id
        self._first_of_image: dict[int, int] = {}  # index of the first annotation that names an image
        self._of_category: dict[int, tuple[int, int]] = {}  # index of the first annotation, and how many there are

    def take(self, key: str, value: Any) -> None:
        """One member of the outermost object."""
        takers = {"categories": self._categories, "images": self._images, "annotations": self._annotations}
        if key not in takers:
            return
        self._lists[key] = "" if isinstance(value, Iterator) else f"is {_shown(value)}"
        if isinstance(value, Iterator):
            takers[key](self._entries(key, value))

    def check(self) -> None:
        """Raise `DataError` where the lists don't fit each other."""
        for key, found in self._lists.items():
            if found:
                raise DataError(f"{self._file}: {key} must be a list, but {found}; is this a COCO detection file?")
        if not self.categories:
            raise DataError(f"{self._file}: categories is empty; list every class with id and name")
        if not self.images:
            raise DataError(f"{self._file}: images is empty; a dataset needs at least one image")
        for image_id, index in self._first_of_image.items():
            if image_id not in self.images:
                place = f"{self._file}: annotations[{index}].image_id"
                raise DataError(f"{place}: no image has the id {image_id}; add it to images or remove the box")
        unknown = [found for number, found in self._of_category.items() if number not in self.categories]
        if unknown:
            used, known = set(self._of_category), set(self.categories)
            index = min(first for first, _ in unknown)
            wrong = next(number for number, (first, _) in self._of_category.items() if first == index)
            message = _unknown_categories(wrong, sum(count for _, count in unknown), known, used)
            raise DataError(f"{self._file}: annotations[{index}].{message}", fault=Fault.UNKNOWN_CATEGORY)

    def _entries(self, key: str, rows: Iterator[Any]) -> Iterator[tuple[int, str, Entry]]:
        """Each object of a list, with its index, and its position for messages."""
        for index, entry in enumerate(rows):
            place = f"{self._file}: {key}[{index}]"
            if not isinstance(entry, dict):
                raise DataError(f"{place} must be an object, but is {_shown(entry)}")
            yield index, place, entry

    def _categories(self, entries: Iterator[tuple[int, str, Entry]]) -> None:
        for _, place, entry in entries:
            number, name = _integer(entry, "id", place), _text(entry, "name", place)
            if number in self.categories:
                raise DataError(f"{place}.id: category id {number} occurs twice; ids must be unique")
            if name in self.categories.values():
                raise DataError(f"{place}.name: category name {name!r} occurs twice; merge or rename the categories")
            self.categories[number] = name

    def _images(self, entries: Iterator[tuple[int, str, Entry]]) -> None:
        for _, place, entry in entries:
            number = _integer(entry, "id", place)
            if number in self.images:
                raise DataError(f"{place}.id: image id {number} occurs twice; ids must be unique")
            width_px, height_px = (_size(entry, key, place) for key in ("width", "height"))
            name = _text(entry, "file_name", place)
            self.images[number] = AnnotatedImage(
                file_name=name, image_id=number, width_px=width_px, height_px=height_px, boxes=(),
                place=f"{self._file.name}: image {number}",
            )  # fmt: skip

    def _annotations(self, entries: Iterator[tuple[int, str, Entry]]) -> None:
        seen: set[int] = set()
        for index, place, entry in entries:
            number = _integer(entry, "id", place)
            if number in seen:
                raise DataError(f"{place}.id: annotation id {number} occurs twice; ids must be unique")
            seen.add(number)
            image_id = _integer(entry, "image_id", place)
            box = _box(entry, place, name=f"annotation {number}")
            self._first_of_image.setdefault(image_id, index)
            first, count = self._of_category.get(box.category_id, (index, 0))
            self._of_category[box.category_id] = (first, count + 1)
            self.boxes.setdefault(image_id, []).append(box)


def _unknown_categories(first: int, count: int, known: set[int], used: set[int]) -> str:
    """What the first unknown id is, how many boxes have one, and whether the labels look off by one."""
    message = f"category_id: unknown category id {first}; known are {', '.join(map(str, sorted(known)[:20]))}"
    if count > 1:
        message += f"; {count} boxes have an unknown id"
    for shift in (-1, 1):
        if {number + shift for number in used} <= known:
            message += (
                f"; all would be known if {abs(shift)} were {'added' if shift > 0 else 'subtracted'}: off by one?"
            )
            break
    return message


def _box(entry: Entry, place: str, *, name: str) -> AnnotatedBox:
    values = entry.get("bbox")
    if not isinstance(values, list) or len(values) != 4 or not all(map(_is_number, values)):
        raise DataError(f"{place}.bbox must be four numbers [x, y, width, height], but is {_shown(values)}")
    crowd = entry.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise DataError(f"{place}.iscrowd must be 0 or 1, but is {_shown(crowd)}")
    area = entry.get("area")
    if area is not None and not _is_number(area):
        raise DataError(f"{place}.area must be a number of square pixels, but is {_shown(area)}")
    x, y, width, height = (_real(value) for value in values)
    return AnnotatedBox(
        category_id=_integer(entry, "category_id", place),
        corners=(x, y, x + width, y + height),
        crowd=bool(crowd),
        area_px=None if area is None else _real(area),
        name=name,
    )


def _integer(entry: Entry, key: str, place: str) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        found = "is missing" if key not in entry else f"is {_shown(value)}"
        raise DataError(f"{place}.{key} must be a non-negative integer, but {found}")
    return value


def _size(entry: Entry, key: str, place: str) -> int | None:
    value = entry.get(key)
    if value is None:
        return None
    if not _is_number(value) or not math.isfinite(_real(value)) or value != int(value) or value < 1:
        raise DataError(f"{place}.{key} must be a positive whole number of pixels, but is {_shown(value)}")
    return int(value)


def _text(entry: Entry, key: str, place: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        found = "is missing" if key not in entry else f"is {_shown(value)}"
        raise DataError(f"{place}.{key} must be a non-empty text, but {found}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _real(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond the range of float64
        return math.inf


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _corners_as_sizes(corners: Floats) -> Floats:
    x1, y1, x2, y2 = corners.T
    return np.stack([x1, y1, x2 - x1, y2 - y1], axis=1)


COCO = Reader(
    read=read_coco,
    recognise=recognise_coco,
    layouts=LAYOUTS,
    box="[x, y, width, height]",
    mistaken={
        "[x1, y1, x2, y2]": _corners_as_sizes,
        "[y, x, height, width]": lambda corners: corners[:, [1, 0, 3, 2]],
    },
)
