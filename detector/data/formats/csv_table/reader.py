"""Reads a CSV table with a row for each box: the columns of TensorFlow's tutorials, of RetinaNet, of Kaggle's sets.

A header names the columns; without one they are RetinaNet's: path, x1, y1, x2, y2, class. An image whose row has no box
has no object. Category ids count from 1 in alphabetic order of the names.
"""

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detector.data.formats.annotation import AnnotatedBox, AnnotatedImage, Annotations, DataError, Seen
from detector.data.formats.csv_table.columns import Columns, columns_of
from detector.data.formats.csv_table.layout import LAYOUTS, csv_of_file, recognise_csv
from detector.data.formats.reader import Floats, Reader
from detector.data_source import DataSource

Corners = tuple[float, float, float, float]

ONE_CLASS = "object"  # where the table has no column of classes

REMARK = (
    "images-without-box",
    "rows have no box; their images count as images without objects",
    "nothing, if these images show none",
)


def read_csv(source: DataSource) -> Annotations:
    """The annotations of the table, images in the order of their first rows; image ids count from 1.

    Raises:
        DataError: the file can't be read, lacks a column, or a value is no number.
    """
    content = _content(source.annotations)
    boxes: defaultdict[str, list[tuple[Corners, str, int]]] = defaultdict(list)
    sizes: dict[str, tuple[int | None, int | None]] = {}
    empty = Seen()
    table, columns = _table(content, source.annotations)
    for line, row in table:
        place = f"{source.annotations}: line {line}"
        image = columns.image_of(row, place)
        sizes.setdefault(image, columns.size_of(row))
        corners = columns.corners_of(row, place)
        if corners is None:
            empty.add(f"line {line}")
        else:
            boxes[image].append((corners, columns.label_of(row, place) or ONE_CLASS, line))
    if not sizes:
        raise DataError(f"{source.annotations}: the table has no row; a dataset needs at least one image")
    names = sorted({label for of_image in boxes.values() for _, label, _ in of_image})
    ids = {name: number for number, name in enumerate(names, start=1)}
    images = tuple(
        AnnotatedImage(
            file_name=image, image_id=number, width_px=width, height_px=height,
            boxes=tuple(_box(corners, ids[label], line) for corners, label, line in boxes[image]),
            place=f"{source.annotations.name}: {image}", fractions=columns.fractions,
        )
        for number, (image, (width, height)) in enumerate(sizes.items(), start=1)
    )  # fmt: skip
    return Annotations(
        images=images,
        categories={number: name for name, number in ids.items()},
        digest=hashlib.sha256(content).hexdigest(),
        remarks=tuple(empty.remark(*REMARK)),
    )


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{file}: the annotation file is missing; check the path") from error
    except OSError as error:
        raise DataError(f"{file}: the annotation file can't be read: {error}") from error


def _table(content: bytes, file: Path) -> tuple[Iterator[tuple[int, list[str]]], Columns]:
    """The rows with their lines, and which columns they have."""
    text = content.decode("utf-8-sig", "replace")
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    numbered = _numbered(rows, file)
    head = next(numbered, (1, []))
    columns, has_header = columns_of(head[1], file)
    return numbered if has_header else _with_first(head, numbered), columns


def _with_first(head: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield head
    yield from rows


def _numbered(rows: Iterator[list[str]], file: Path) -> Iterator[tuple[int, list[str]]]:
    line = 0
    try:
        for line, row in enumerate(rows, start=1):
            if any(cell.strip() for cell in row):
                yield line, [cell.strip() for cell in row]
    except csv.Error as error:
        raise DataError(f"{file}: line {line + 1} is no CSV: {error}; export the table again") from error


def _box(corners: Corners, category: int, line: int) -> AnnotatedBox:
    return AnnotatedBox(category_id=category, corners=corners, crowd=False, area_px=None, name=f"line {line}")


def _sizes_as_corners(corners: Floats) -> Floats:
    x1, y1, x2, y2 = corners.T
    return np.stack([x1, y1, x1 + x2, y1 + y2], axis=1)


CSV = Reader(
    read=read_csv,
    recognise=recognise_csv,
    of_file=csv_of_file,
    layouts=LAYOUTS,
    box="x1, y1, x2, y2",
    mistaken={
        "x, y, width, height": _sizes_as_corners,
        "y1, x1, y2, x2": lambda corners: corners[:, [1, 0, 3, 2]],
    },
)
