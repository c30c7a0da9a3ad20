"""Reads YOLO data: a text file for each image, a line `class cx cy width height` for each object, in fractions.

A line with a polygon, or with the four corners of a rotated box, counts as the box around it. An image without a text
file has no object, as Ultralytics reads it.
"""

import hashlib
import math
import sys
from collections import defaultdict
from pathlib import Path

from detector.data.file_names import other_names
from detector.data.formats.annotation import AnnotatedBox, AnnotatedImage, Annotations, DataError, Fault, Seen
from detector.data.formats.image_list import images_of
from detector.data.formats.reader import Reader
from detector.data.formats.yolo.layout import LAYOUTS, label_file, recognise_yolo, yolo_of_file
from detector.data.formats.yolo.names import class_names
from detector.data_source import DataSource

Corners = tuple[float, float, float, float]

FARTHEST = 1.5  # beyond it a number is no fraction of the image but pixels
MOST_BYTES = 1 << 24  # of one text file

#: Name, message and advice of what may be remarked, by kind.
REMARKS = {
    "outline": (
        "outlines-as-boxes",
        "objects are polygons or rotated boxes; the upright boxes around them are used",
        "nothing, unless the objects are long and lie askew",
    ),
    "bare": (
        "images-without-annotation",
        "images have no label file, and count as images without objects",
        "nothing, if they show none; else add their label files",
    ),
}


def read_yolo(source: DataSource) -> Annotations:
    """The annotations of the images that the split lists, or of all in the folder; image ids count from 1.

    Category ids are the class numbers of the label files.

    Raises:
        DataError: a file can't be read, a line breaks a rule of the format, or a class has no name.
    """
    names, content = class_names(source.annotations)
    digest, seen = hashlib.sha256(content), defaultdict[str, Seen](Seen)
    images = []
    listed = images_of(source.images, source.split)
    _, files = other_names(listed, source.images)
    for number, name in enumerate(listed, start=1):
        labels = label_file(source.images / files.get(name, name))
        text = _read(labels, root=source.root)
        digest.update(f"{name}\0".encode(errors="surrogatepass") + (text or b""))
        if text is None:
            seen["bare"].add(name)
        boxes = tuple(_boxes(text or b"", labels, seen["outline"]))
        _require_known(boxes, names, source.annotations, labels)
        images.append(
            AnnotatedImage(
                file_name=name, image_id=number, width_px=None, height_px=None, boxes=boxes, place=labels.name,
                fractions=True,
            )
        )  # fmt: skip
    remarks = tuple(remark for kind, words in REMARKS.items() for remark in seen[kind].remark(*words))
    return Annotations(
        images=tuple(images), categories=dict(sorted(names.items())), digest=digest.hexdigest(), remarks=remarks
    )


def _read(file: Path, *, root: Path) -> bytes | None:
    """The bytes of a label file; None where there is none."""
    try:
        path = file.resolve(strict=True)
        if not any(path.is_relative_to(place.resolve()) for place in (root, file.parent)):
            raise DataError(f"{file}: leads out of the dataset's folder; put the file itself there")
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{file}: the label file can't be read: {error}") from error
    if len(content) > MOST_BYTES:
        raise DataError(f"{file}: a label file may have at most {MOST_BYTES >> 20} MiB; is it the right file?")
    return content


def _boxes(content: bytes, file: Path, outlines: Seen) -> list[AnnotatedBox]:
    text = content.decode("utf-8-sig", "replace")
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    return [_box(line, f"{file}: line {number}", outlines, number) for number, line in lines]


def _box(line: str, place: str, outlines: Seen, number: int) -> AnnotatedBox:
    words = line.split()
    try:
        label, values = float(words[0]), [float(word) for word in words[1:]]
    except ValueError as error:
        message = f"{place} must be a class number and fractions of the image, but is {line[:60]!r}"
        raise DataError(message) from error
    if not label.is_integer() or label < 0:
        raise DataError(f"{place} must begin with a class number, 0 or above, but with {words[0][:20]!r}")
    corners = _corners(values, place)
    if len(values) > 4:
        outlines.add(place)
    if max(map(abs, corners), default=0.0) > FARTHEST and all(map(math.isfinite, corners)):
        raise DataError(
            f"{place} holds pixels ({line[:60]!r}), but YOLO's numbers are fractions of the image's width and height; "
            "divide by them",
            fault=Fault.COORDINATE_ORDER,
        )
    return AnnotatedBox(
        category_id=int(label), corners=corners, crowd=False, area_px=None, name=sys.intern(f"line {number}")
    )


def _corners(values: list[float], place: str) -> Corners:
    """x1, y1, x2, y2 of a box by centre and size, or of the box around a polygon."""
    if len(values) == 4:
        cx, cy, width, height = values
        return cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2
    if len(values) == 5:
        message = f"{place} has six numbers: with a confidence, these are detections and no labels; give the labels"
        raise DataError(message)
    if len(values) < 6 or len(values) % 2:
        raise DataError(f"{place} must have a class, then four numbers or a polygon's points; it has {len(values)}")
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


def _require_known(boxes: tuple[AnnotatedBox, ...], names: dict[int, str], source: Path, labels: Path) -> None:
    unknown = next((box for box in boxes if box.category_id not in names), None)
    if unknown is not None:
        known = f"0 to {len(names) - 1}" if list(names) == list(range(len(names))) else ", ".join(map(str, names))
        raise DataError(
            f"{labels}: {unknown.name}: class {unknown.category_id} has no name; {source} names {known}; add it there",
            fault=Fault.UNKNOWN_CATEGORY,
        )


YOLO = Reader(
    read=read_yolo,
    recognise=recognise_yolo,
    of_file=yolo_of_file,
    layouts=LAYOUTS,
    box="cx, cy, width, height",
    mistaken={},
)
