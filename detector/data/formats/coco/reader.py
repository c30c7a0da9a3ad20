"""Reads COCO JSON. Strict on structure; whether boxes and images make sense is checked by `dataset`.

Image and category ids only tell entries apart: they are mapped, never assumed contiguous. Those of annotations only
name a box in messages.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from detector.data.formats.annotation import (
    AnnotatedBox,
    AnnotatedImage,
    Annotations,
    DataError,
    Fault,
    Key,
    Remark,
    Seen,
)
from detector.data.formats.coco.categories import headings_of, in_order, refuse_same_names, unknown_categories
from detector.data.formats.coco.fields import Entry, box_of, key_of, marks_of, shown, size_of, text_of
from detector.data.formats.coco.json_stream import JsonStream, NoObject
from detector.data.formats.coco.layout import LAYOUTS, coco_of_file, recognise_coco
from detector.data.formats.reader import Floats, Reader
from detector.data_source import DataSource

MOST_ORPHANS = 0.5  # of the boxes

#: Name, message and advice of what may be remarked, by kind.
REMARKS: dict[str, tuple[str, str, str]] = {
    "heading": (
        "classes-without-boxes",
        "categories without a box are headings or background, and are left out of the classes",
        "nothing; give them boxes if they are classes",
    ),
    "image twice": ("image-entries-doubled", "images are listed twice with the same id and file", "nothing"),
    "orphan": (
        "boxes-without-image",
        "boxes belong to images that the file doesn't list; they are left out",
        "export the file again if the images are still there",
    ),
    "empty": (
        "annotations-without-box",
        "annotations have no box, as tools write for images without objects; they are left out",
        "nothing, if these are images without objects",
    ),
    "ignored": (
        "ignore-marks",
        "boxes are marked `ignore`, which COCO's own evaluation doesn't heed; they are used like the others",
        "set `iscrowd` to 1 for boxes that are to be neither learned nor counted",
    ),
    "rotated": (
        "rotated-boxes",
        "boxes were drawn rotated; the file holds upright ones, which are used as they stand",
        "look at some of them with `--pictures`: an upright box around a rotated one is larger than the object",
    ),
}


def read_coco(source: DataSource) -> Annotations:
    """The annotations in the JSON file of the source, images in the file's order.

    Raises:
        DataError: the file is missing, isn't JSON, or breaks a rule of the format; the message names the position.
    """
    content, digest = _read(source.annotations)
    images = tuple(
        replace(image, boxes=tuple(content.boxes.pop(number, ()))) for number, image in content.images.items()
    )
    return Annotations(images=images, categories=in_order(content.categories), digest=digest, remarks=content.remarks())


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
        self._parents: dict[Key, str] = {}  # supercategory, by category id
        self._first_of_image: dict[Key, int] = {}  # index of the first annotation that names an image
        self._of_category: dict[Key, tuple[int, int]] = {}  # index of the first annotation, and how many there are
        self._seen: defaultdict[str, Seen] = defaultdict(Seen)
        self.categories: dict[Key, str] = {}
        self.images: dict[Key, AnnotatedImage] = {}  # by id, still without its boxes
        self.boxes: dict[Key, list[AnnotatedBox]] = {}  # by image id

    def take(self, key: str, value: Any) -> None:
        """One member of the outermost object."""
        takers = {"categories": self._categories, "images": self._images, "annotations": self._annotations}
        if key not in takers:
            return
        self._lists[key] = "" if isinstance(value, Iterator) else f"is {shown(value)}"
        if isinstance(value, Iterator):
            takers[key](self._entries(key, value))

    def check(self) -> None:
        """Raise `DataError` where the lists don't fit each other; leave out what belongs to nothing."""
        for key, found in self._lists.items():
            if found:
                raise DataError(f"{self._file}: {key} must be a list, but {found}; is this a COCO detection file?")
        if not self.categories:
            raise DataError(f"{self._file}: categories is empty; list every class with id and name")
        if not self.images:
            raise DataError(f"{self._file}: images is empty; a dataset needs at least one image")
        self._check_categories()
        self._leave_out_orphans()
        headings = headings_of(self.categories, self._parents, set(self._of_category))
        for number in headings:
            self._seen["heading"].add(self.categories.pop(number))
        refuse_same_names(self.categories, self._file)

    def remarks(self) -> tuple[Remark, ...]:
        """What was left out, or taken otherwise than it stands."""
        return tuple(remark for kind, words in REMARKS.items() for remark in self._seen[kind].remark(*words))

    def _check_categories(self) -> None:
        unknown = [found for number, found in self._of_category.items() if number not in self.categories]
        if unknown:
            used, known = set(self._of_category), set(self.categories)
            index = min(first for first, _ in unknown)
            wrong = next(number for number, (first, _) in self._of_category.items() if first == index)
            message = unknown_categories(wrong, sum(count for _, count in unknown), known, used)
            raise DataError(f"{self._file}: annotations[{index}].{message}", fault=Fault.UNKNOWN_CATEGORY)

    def _leave_out_orphans(self) -> None:
        """Boxes of images that were removed are left out; where most are so, the ids are those of another file."""
        orphans = [number for number in self.boxes if number not in self.images]
        count, total = (sum(len(self.boxes[number]) for number in ids) for ids in (orphans, self.boxes))
        if count > MOST_ORPHANS * total:
            number = orphans[0]
            place = f"{self._file}: annotations[{self._first_of_image[number]}].image_id"
            found = f"no image has the id {shown(number)}, and {count} of {total} boxes are of no image"
            raise DataError(f"{place}: {found}; add the images, or export the file again")
        for number in orphans:
            for box in self.boxes.pop(number):
                self._seen["orphan"].add(f"{box.name} of image {number}")

    def _entries(self, key: str, rows: Iterator[Any]) -> Iterator[tuple[int, str, Entry]]:
        """Each object of a list, with its index, and its position for messages."""
        for index, entry in enumerate(rows):
            place = f"{self._file}: {key}[{index}]"
            if not isinstance(entry, dict):
                raise DataError(f"{place} must be an object, but is {shown(entry)}")
            yield index, place, entry

    def _categories(self, entries: Iterator[tuple[int, str, Entry]]) -> None:
        for _, place, entry in entries:
            number, name = key_of(entry, "id", place), text_of(entry, "name", place)
            if self.categories.get(number, name) != name:
                raise DataError(f"{place}.id: category id {number} occurs twice; ids must be unique")
            self.categories[number] = name
            parent = entry.get("supercategory")
            self._parents[number] = parent if isinstance(parent, str) else ""

    def _images(self, entries: Iterator[tuple[int, str, Entry]]) -> None:
        for _, place, entry in entries:
            number, name = key_of(entry, "id", place), text_of(entry, "file_name", place)
            if number in self.images:
                if self.images[number].file_name != name:
                    raise DataError(f"{place}.id: image id {number} occurs twice; ids must be unique")
                self._seen["image twice"].add(name)
                continue
            width_px, height_px = (size_of(entry, key, place) for key in ("width", "height"))
            self.images[number] = AnnotatedImage(
                file_name=name, image_id=number, width_px=width_px, height_px=height_px, boxes=(),
                place=f"{self._file.name}: image {number}",
            )  # fmt: skip

    def _annotations(self, entries: Iterator[tuple[int, str, Entry]]) -> None:
        for index, place, entry in entries:
            image_id = key_of(entry, "image_id", place)
            box = box_of(entry, place, name=f"annotation {shown(entry.get('id', index))}")
            if box is None:
                self._seen["empty"].add(f"annotations[{index}]")
                continue
            for kind, marked in zip(("ignored", "rotated"), marks_of(entry), strict=True):
                if marked:
                    self._seen[kind].add(f"annotations[{index}]")
            self._first_of_image.setdefault(image_id, index)
            first, count = self._of_category.get(box.category_id, (index, 0))
            self._of_category[box.category_id] = (first, count + 1)
            self.boxes.setdefault(image_id, []).append(box)


def _corners_as_sizes(corners: Floats) -> Floats:
    x1, y1, x2, y2 = corners.T
    return np.stack([x1, y1, x2 - x1, y2 - y1], axis=1)


def _corners_as_centres(corners: Floats) -> Floats:
    """Read as corner and size, the second corner lies half a size too far, and so does the first."""
    half = (corners[:, 2:] - corners[:, :2]) / 2
    return np.concatenate([corners[:, :2] - half, corners[:, 2:] - half], axis=1)


COCO = Reader(
    read=read_coco,
    recognise=recognise_coco,
    of_file=coco_of_file,
    layouts=LAYOUTS,
    box="[x, y, width, height]",
    mistaken={
        "[x1, y1, x2, y2]": _corners_as_sizes,
        "[y, x, height, width]": lambda corners: corners[:, [1, 0, 3, 2]],
        "[centre x, centre y, width, height]": _corners_as_centres,
    },
)
