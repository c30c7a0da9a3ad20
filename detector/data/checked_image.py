"""The images that annotations name, checked against the files before any is decoded."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.data.cleaning import confusion
from detector.data.file_names import nearest, with_files
from detector.data.formats.annotation import (
    MOST_EXAMPLES,
    AnnotatedImage,
    Annotations,
    DataError,
    Defect,
    Fault,
    Remark,
)
from detector.data.formats.table import READERS
from detector.data.image_file import Header, path_inside, read_header
from detector.data_source import DataSource, Exif

MOST_HINTS = 10  # that many are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedImage:
    """An annotated image whose file is there and has the size stated."""

    entry: AnnotatedImage
    path: Path  # resolved
    header: Header

    @property
    def corners(self) -> NDArray[np.float64]:
        """The corners of its boxes in pixels, [n, 4], unchecked."""
        corners = np.array([box.corners for box in self.entry.boxes], dtype=np.float64).reshape(-1, 4)
        return corners * np.tile(self.size_px, 2) if self.entry.fractions else corners

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.header.width_px, self.header.height_px


def read_annotations(source: DataSource) -> Annotations:
    """What the source states, with the names of the files that are there, but for the images that are left out.

    Raises:
        DataError: as the reader of its format.
    """
    stated = READERS[source.format].read(source)
    found = _without(with_files(_without(stated, source.left_out), source.images), source.left_out)
    count = len(stated.images) - len(found.images)
    return replace(found, remarks=(*found.remarks, *_left_out_remark(source.left_out, count)))


def _without(annotations: Annotations, left_out: tuple[str, ...]) -> Annotations:
    """The same without the images of these names."""
    names = frozenset(left_out)
    kept = tuple(entry for entry in annotations.images if entry.file_name not in names) if names else annotations.images
    return replace(annotations, images=kept)


def _left_out_remark(names: tuple[str, ...], count: int) -> list[Remark]:
    """What `left_out` does; nothing where it names nothing."""
    if not names:
        return []
    others = f"; {len(names) - count} of the names are of no image here" if count < len(names) else ""
    remark = Remark(
        name="images-left-out",
        message=f"{count} images are left out, as `data.left_out` says{others}",
        advice="nothing, if it is as you mean it",
        count=len(names),
        examples=names[:MOST_EXAMPLES],
        harmless=count == len(names),
    )
    return [remark]


def refuse_unknown_classes(annotations: Annotations, classes: tuple[str, ...], source: DataSource) -> None:
    """Raise `DataError` if a box's category is none of the classes."""
    used = {box.category_id for image in annotations.images for box in image.boxes}
    unknown = [name for number, name in annotations.categories.items() if number in used and name not in classes]
    if unknown:
        raise DataError(
            f"{source.annotations}: the classes {', '.join(map(repr, unknown[:10]))} are not among the training "
            f"classes ({', '.join(map(repr, classes[:20]))}); use the same classes in training and validation data",
            fault=Fault.CLASS_MISMATCH,
        )


def check_images(entries: Sequence[AnnotatedImage], source: DataSource) -> tuple[list[CheckedImage], list[Defect]]:
    """The images that can be used, in their order, and what is wrong with the others. Decodes none.

    Raises:
        DataError: the folder of images is missing.
    """

    def check(entry: AnnotatedImage) -> CheckedImage | Defect:
        try:
            path = path_inside(folder, entry.file_name, root=source.root)
            header = read_header(path, source.exif)
            _check_size(entry, header, path, source.exif)
        except DataError as error:
            return Defect(fault=error.fault, file=entry.file_name, message=f"{entry.place}: {error}")
        return CheckedImage(entry=entry, path=path, header=header)

    if not source.images.is_dir():
        message = f"{source.images}: the folder of images is missing; check the path"
        raise DataError(message, fault=Fault.IMAGE_MISSING)
    folder = source.images.resolve()
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        results = list(pool.map(check, entries))
    defects = _with_hints([result for result in results if isinstance(result, Defect)], folder)
    first_of: dict[Path, CheckedImage] = {}
    for image in (result for result in results if isinstance(result, CheckedImage)):
        if (first := first_of.setdefault(image.path, image)) is not image:
            name, number = image.entry.file_name, first.entry.image_id
            message = f"{image.entry.place}: {name} is also image {number}; list every file once"
            defects.append(Defect(fault=Fault.LISTED_TWICE, file=name, message=message))
    return list(first_of.values()), defects


def _with_hints(defects: list[Defect], folder: Path) -> list[Defect]:
    """The same, the first missing images with the files whose names look most like theirs."""
    missing = [defect.file for defect in defects if defect.fault is Fault.IMAGE_MISSING]
    close = nearest(missing[:MOST_HINTS], folder)
    return [
        replace(defect, message=f"{defect.message}; the nearest is {close[defect.file]!r}")
        if defect.fault is Fault.IMAGE_MISSING and defect.file in close
        else defect
        for defect in defects
    ]


def _check_size(entry: AnnotatedImage, header: Header, path: Path, exif: Exif) -> None:
    stated = (entry.width_px or header.width_px, entry.height_px or header.height_px)
    if stated == (header.width_px, header.height_px):
        return
    hint, fault = "correct the annotations, their boxes would be misplaced", Fault.IMAGE_SIZE
    lying = stated == (header.height_px, header.width_px)
    if header.rotated and lying:
        fault = Fault.EXIF_ROTATION
        hint = "its EXIF data rotates it, but the boxes were drawn unrotated: set `exif: stored` in the section `data`"
    elif exif is Exif.STORED and lying:
        hint = "if its EXIF data rotates it, the boxes were drawn upright: set `exif: upright` in the section `data`"
    raise DataError(
        f"{path}: the annotations state {stated[0]} × {stated[1]} px, "
        f"but the image has {header.width_px} × {header.height_px}; {hint}",
        fault=fault,
    )


def refuse_confusion(checked: Sequence[CheckedImage], source: DataSource) -> None:
    """Raise `DataError` if most boxes are impossible, with the order of numbers that would explain them."""
    corners = np.concatenate([image.corners for image in checked] or [np.zeros((0, 4))])
    counts = [len(image.entry.boxes) for image in checked]
    sizes = np.repeat(np.array([image.size_px for image in checked], dtype=np.float64).reshape(-1, 2), counts, axis=0)
    if cause := confusion(corners, sizes, source.format):
        raise DataError(f"{source.annotations}: {cause}", fault=Fault.COORDINATE_ORDER)
