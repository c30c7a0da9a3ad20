"""Reads COCO JSON. Strict on structure; whether boxes and images make sense is checked by `dataset`.

Image, annotation and category ids are arbitrary integers; they are mapped, never assumed contiguous.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detector.annotation import AnnotatedBox, AnnotatedImage, Annotations, DataError, Fault
from detector.config import DataSource

Entry = dict[str, Any]


def read_coco(source: DataSource) -> Annotations:
    """The annotations in the JSON file of the source, images in the file's order.

    Raises:
        DataError: the file is missing, isn't JSON, or breaks a rule of the format; the message names the position.
    """
    file = source.annotations
    content = _read(file)
    document = _parse(content, file)
    categories = _categories(document, file)
    rows = dict(_images(document, file))
    boxes = _boxes(document, file, image_ids=set(rows), category_ids=set(categories))
    images = tuple(
        AnnotatedImage(
            file_name=row["file_name"],
            image_id=image_id,
            width_px=row["width"],
            height_px=row["height"],
            boxes=tuple(boxes.get(image_id, ())),
            place=f"{file.name}: image {image_id}",
        )
        for image_id, row in rows.items()
    )
    return Annotations(images=images, categories=categories, digest=hashlib.sha256(content).hexdigest())


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{file}: the annotation file is missing; check the path") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: the annotation file can't be read: {error}") from error


def _parse(content: bytes, file: Path) -> Entry:
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        reason = f"not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        raise DataError(f"{file}: {reason}; export the file again") from error
    except RecursionError as error:
        raise DataError(f"{file}: the JSON is nested too deeply for COCO annotations") from error
    except ValueError as error:  # not UTF-8, or an integer of thousands of digits
        raise DataError(f"{file}: not valid JSON: {error}; export the file again as UTF-8") from error
    if not isinstance(document, dict):
        raise DataError(f"{file}: a COCO file holds one JSON object, but this is a {type(document).__name__}")
    return document


def _categories(document: Entry, file: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for place, entry in _entries(document, "categories", file):
        number, name = _integer(entry, "id", place), _text(entry, "name", place)
        if number in names:
            raise DataError(f"{place}.id: category id {number} occurs twice; ids must be unique")
        if name in names.values():
            raise DataError(f"{place}.name: category name {name!r} occurs twice; merge or rename the categories")
        names[number] = name
    if not names:
        raise DataError(f"{file}: categories is empty; list every class with id and name")
    return dict(sorted(names.items()))


def _images(document: Entry, file: Path) -> Iterator[tuple[int, Entry]]:
    seen: set[int] = set()
    for place, entry in _entries(document, "images", file):
        number = _integer(entry, "id", place)
        if number in seen:
            raise DataError(f"{place}.id: image id {number} occurs twice; ids must be unique")
        seen.add(number)
        size = {key: _size(entry, key, place) for key in ("width", "height")}
        yield number, {"file_name": _text(entry, "file_name", place), **size}
    if not seen:
        raise DataError(f"{file}: images is empty; a dataset needs at least one image")


def _boxes(
    document: Entry, file: Path, *, image_ids: set[int], category_ids: set[int]
) -> dict[int, list[AnnotatedBox]]:
    boxes: dict[int, list[AnnotatedBox]] = {}
    seen: set[int] = set()
    unknown: list[tuple[str, int]] = []
    for place, entry in _entries(document, "annotations", file):
        number = _integer(entry, "id", place)
        if number in seen:
            raise DataError(f"{place}.id: annotation id {number} occurs twice; ids must be unique")
        seen.add(number)
        image_id = _integer(entry, "image_id", place)
        if image_id not in image_ids:
            raise DataError(f"{place}.image_id: no image has the id {image_id}; add it to images or remove the box")
        box = _box(entry, place, name=f"annotation {number}")
        if box.category_id not in category_ids:
            unknown.append((place, box.category_id))
        boxes.setdefault(image_id, []).append(box)
    if unknown:
        used = {box.category_id for some in boxes.values() for box in some}
        raise DataError(_unknown_categories(unknown, category_ids, used), fault=Fault.UNKNOWN_CATEGORY)
    return boxes


def _unknown_categories(unknown: list[tuple[str, int]], known: set[int], used: set[int]) -> str:
    """Where the first unknown id stands, how many there are, and whether the labels look off by one."""
    place, first = unknown[0]
    message = f"{place}.category_id: unknown category id {first}; known are {', '.join(map(str, sorted(known)[:20]))}"
    if len(unknown) > 1:
        message += f"; {len(unknown)} boxes have an unknown id"
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


def _entries(document: Entry, key: str, file: Path) -> Iterator[tuple[str, Entry]]:
    """Each object of a list, with its position for messages."""
    rows = document.get(key)
    if not isinstance(rows, list):
        found = "is missing" if rows is None else f"is {_shown(rows)}"
        raise DataError(f"{file}: {key} must be a list, but {found}; is this a COCO detection file?")
    for index, entry in enumerate(rows):
        place = f"{file}: {key}[{index}]"
        if not isinstance(entry, dict):
            raise DataError(f"{place} must be an object, but is {_shown(entry)}")
        yield place, entry


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
