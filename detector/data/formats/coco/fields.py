"""Values of COCO's fields, taken as they are meant: exporters write ids and numbers as texts, unknown sizes as -1.

`place` is the position in the file, for messages.
"""

import math
import re
from typing import Any

from detector.data.formats.annotation import AnnotatedBox, DataError, Key

Entry = dict[str, Any]
Corners = tuple[float, float, float, float]

MOST_DIGITS = 40  # of an id or a number that is written as text
LARGEST_PX = 2**31

_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")


def shown(value: object) -> str:
    """The value as messages show it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def key_of(entry: Entry, name: str, place: str) -> Key:
    """An id: a whole number, however it is written, or a text. `1`, `1.0` and `"1"` are the same.

    Raises:
        DataError: it is missing, null, or neither.
    """
    value = entry.get(name)
    if isinstance(value, str):
        return _number_in(value) if _is_whole(value) else value.strip() or _no_key(entry, name, place)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else _no_key(entry, name, place)


def _no_key(entry: Entry, name: str, place: str) -> Key:
    found = f"is {shown(entry[name])}" if name in entry else "is missing"
    raise DataError(f"{place}.{name} must be an id, a whole number or a text, but {found}")


def text_of(entry: Entry, name: str, place: str) -> str:
    """A text that isn't empty; a number stands for its digits, as some tools name classes.

    Raises:
        DataError: there is none.
    """
    value = entry.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**MOST_DIGITS:
        return str(value)
    if not isinstance(value, str) or not value.strip():
        found = f"is {shown(value)}" if name in entry else "is missing"
        raise DataError(f"{place}.{name} must be a non-empty text, but {found}")
    return value


def size_of(entry: Entry, name: str, place: str) -> int | None:
    """A number of pixels; None where the file doesn't know it: absent, null, zero or negative.

    Raises:
        DataError: it is no whole number.
    """
    value = entry.get(name)
    if isinstance(value, str) and _is_whole(value):
        value = _number_in(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or value == "":
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value >= LARGEST_PX:
        raise DataError(f"{place}.{name} must be a positive whole number of pixels, but is {shown(value)}")
    return value if value > 0 else None


def box_of(entry: Entry, place: str, *, name: str) -> AnnotatedBox | None:
    """The box of an annotation; None where it has none, as tools write for images without objects.

    Raises:
        DataError: a field can't be understood.
    """
    corners = _corners(entry, place)
    category, crowd, area = key_of(entry, "category_id", place), _crowd(entry, place), _area(entry, place)
    if corners is None:
        return None
    return AnnotatedBox(category_id=category, corners=corners, crowd=crowd, area_px=area, name=name)


def marks_of(entry: Entry) -> tuple[bool, bool]:
    """Whether the annotation is marked to be ignored, and whether it was drawn as a rotated box."""
    attributes = entry.get("attributes")
    rotation = attributes.get("rotation") if isinstance(attributes, dict) else entry.get("rotation")
    return entry.get("ignore") in (1, True, "1") and not entry.get("iscrowd"), bool(_real(rotation))


def _corners(entry: Entry, place: str) -> Corners | None:
    values = entry.get("bbox")
    if values is None or values == []:
        return _outline(entry.get("segmentation"))
    numbers = [_real(value) for value in values] if isinstance(values, list) else []
    if len(numbers) == 5 and None not in numbers:
        message = f"{place}.bbox has five numbers, a rotated box; export upright boxes [x, y, width, height]"
        raise DataError(message)
    if len(numbers) != 4 or None in numbers:
        raise DataError(f"{place}.bbox must be four numbers [x, y, width, height], but is {shown(values)}")
    x, y, width, height = (number for number in numbers if number is not None)
    return x, y, x + width, y + height


def _outline(polygons: object) -> Corners | None:
    """The box around polygons, where a file has these alone."""
    rings = [one for one in polygons if isinstance(one, list)] if isinstance(polygons, list) else []
    flat = [_real(value) for ring in rings for value in ring]
    numbers = [value for value in flat if value is not None]
    if len(numbers) < 6 or len(numbers) % 2 or len(numbers) < len(flat):
        return None
    return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])


def _crowd(entry: Entry, place: str) -> bool:
    value = entry.get("iscrowd")
    if value not in (None, 0, 1, "0", "1", ""):
        raise DataError(f"{place}.iscrowd must be 0 or 1, but is {shown(value)}")
    return value in (1, "1")


def _area(entry: Entry, place: str) -> float | None:
    value = entry.get("area")
    number = _real(value)
    if value not in (None, "") and number is None:
        raise DataError(f"{place}.area must be a number of square pixels, but is {shown(value)}")
    return number


def _real(value: object) -> float | None:
    """The number, also one written as text; None where it is none. What no float holds is infinite."""
    if isinstance(value, str) and len(value) <= MOST_DIGITS:
        try:
            return float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _is_whole(text: str) -> bool:
    return len(text) <= MOST_DIGITS and _WHOLE.fullmatch(text.strip()) is not None


def _number_in(text: str) -> int:
    return int(text.strip().partition(".")[0])
