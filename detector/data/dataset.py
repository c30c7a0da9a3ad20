"""A dataset in memory: checked images with their boxes, ready for training and evaluation.

Boxes are float32 [n, 4] as y1, x1, y2, x2 in pixels of the upright original image, clipped to it, each side longer
than one pixel. Labels are int32 [n] in 0 … K-1. An image without boxes has arrays of length 0.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.data.checked_image import (
    CheckedImage,
    check_images,
    read_annotations,
    refuse_confusion,
    refuse_unknown_classes,
)
from detector.data.cleaning import clean_boxes
from detector.data.formats.annotation import (
    Annotations,
    BadImages,
    Defect,
    Fault,
    Key,
    Remark,
    problems_message,
)
from detector.data.formats.annotation import DataError as DataError
from detector.data.image_file import read_header
from detector.data_source import DataSource, Exif


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Image:
    """One image and its objects. Crowd boxes count in evaluation only, as COCO does."""

    path: Path  # resolved
    name: str  # relative to the folder of images
    image_id: Key  # the file's own; for VOC the position, from 1
    width_px: int
    height_px: int
    boxes: NDArray[np.float32]  # [n, 4]
    labels: NDArray[np.int32]  # [n]
    crowd: NDArray[np.bool_]  # [n]
    area: NDArray[np.float32]  # [n] square pixels: of the object where the file states it, else of the box
    digest: str  # sha256 of the file
    exif: Exif = Exif.UPRIGHT  # width, height and boxes are of this frame
    clipped: int = 0  # boxes that reached beyond the image and were cut

    @property
    def training_boxes(self) -> NDArray[np.float32]:
        """Boxes that are no crowd, [m, 4]."""
        return self.boxes[~self.crowd]

    @property
    def training_labels(self) -> NDArray[np.int32]:
        """Labels of `training_boxes`, [m]."""
        return self.labels[~self.crowd]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A box that was left out."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """One split. Immutable; its arrays must not be written to."""

    images: tuple[Image, ...]
    classes: tuple[str, ...]  # by label
    fingerprint: str  # sha256 of the annotations and of every image's name and content
    source: DataSource
    dropped: tuple[Dropped, ...] = ()
    remarks: tuple[Remark, ...] = ()  # on the annotations, of the whole source

    @property
    def clipped(self) -> int:
        """Boxes that reached beyond their image and were cut."""
        return sum(image.clipped for image in self.images)

    @property
    def trainable(self) -> tuple[int, ...]:
        """Positions of the images with something to learn; the others count in evaluation only."""
        return tuple(index for index, image in enumerate(self.images) if not image.crowd.all())

    def select(self, indices: Sequence[int]) -> "Dataset":
        """The same dataset with only the images at these positions, in this order; it has its own fingerprint."""
        images = tuple(self.images[index] for index in indices)
        names = {image.name for image in images}
        return replace(
            self,
            images=images,
            fingerprint=_fingerprint([self.fingerprint], images),
            dropped=tuple(box for box in self.dropped if box.file in names),
        )


def load_dataset(source: DataSource, *, classes: tuple[str, ...] | None = None) -> Dataset:
    """Read one split, check it against its images, drop unusable boxes and count them.

    With `classes` (those of the training data) labels follow them by name.

    Raises:
        BadImages: some can't be used, as far as that is seen without decoding them.
        DataError: something else that the user must change.
    """
    annotations = read_annotations(source)
    names = classes or tuple(annotations.categories.values())
    refuse_unknown_classes(annotations, names, source)
    checked, defects = check_images(annotations.images, source)
    if defects:
        total = f"{len(defects)} of {len(annotations.images)} images can't be used"
        raise bad_images(f"{source.annotations}: {total}", defects, source)
    refuse_confusion(checked, source)
    return assemble(annotations, checked, names, source)


def bad_images(what: str, defects: Sequence[Defect], source: DataSource) -> BadImages:
    """The error that names the first of the defects."""
    listed = problems_message([defect.message for defect in defects])
    return BadImages(f"{what}:\n{listed}", annotations=source.annotations, defects=defects)


def assemble(
    annotations: Annotations, checked: Sequence[CheckedImage], classes: tuple[str, ...], source: DataSource
) -> Dataset:
    """The dataset of these images, with unusable boxes dropped and counted. Every category must be among the classes.

    Raises:
        DataError: no box is left.
    """
    labels = {number: classes.index(name) for number, name in annotations.categories.items() if name in classes}
    built = [_image(each, labels, source.exif) for each in checked]
    images = tuple(image for image, _ in built)
    if not any(len(image.training_boxes) for image in images):
        raise DataError(f"{source.annotations}: {_without_boxes(images)}", fault=Fault.NO_BOXES)
    return Dataset(
        images=images,
        classes=classes,
        fingerprint=_fingerprint([annotations.digest, *classes, *_frame(source)], images),
        source=source,
        dropped=tuple(box for _, dropped in built for box in dropped),
        remarks=annotations.remarks,
    )


def _without_boxes(images: Sequence[Image]) -> str:
    """Why there is nothing to learn."""
    crowds = sum(len(image.boxes) for image in images)
    if crowds:
        return (
            f"all {crowds} boxes are crowds (`iscrowd`, or VOC's `difficult`), which are never learned; "
            "set the mark to 0 where a box is one object"
        )
    return f"no usable box in {len(images)} images; a detector needs objects"


def most_boxes(dataset: Dataset) -> int:
    """The largest number of training boxes in one image."""
    return max(len(image.training_boxes) for image in dataset.images)


def ground_truth_slots(dataset: Dataset, *, multiple: int = 8) -> int:
    """Slots for ground truth that hold every image's training boxes, so that none is ever cut off.

    Rounded up, so that a few boxes more in another version of the data don't mean a new compilation.
    """
    return -(-most_boxes(dataset) // multiple) * multiple


def unannotated(path: Path, number: int) -> Image:
    """An image file by itself, upright, without boxes.

    Raises:
        DataError: it is no image, or can't be used.
    """
    header = read_header(path)
    return Image(
        path=path,
        name=path.name,
        image_id=number,
        width_px=header.width_px,
        height_px=header.height_px,
        boxes=np.zeros((0, 4), np.float32),
        labels=np.zeros(0, np.int32),
        crowd=np.zeros(0, bool),
        area=np.zeros(0, np.float32),
        digest=header.digest,
    )


def _image(checked: CheckedImage, labels: dict[Key, int], exif: Exif) -> tuple[Image, list[Dropped]]:
    """The checked image, and what was dropped from it."""
    entry, header = checked.entry, checked.header
    corners = checked.corners
    cleaned = clean_boxes(corners, width_px=header.width_px, height_px=header.height_px)
    dropped = [
        Dropped(file=entry.file_name, reason=f"{box.name} {reason} (corners {', '.join(f'{v:g}' for v in own)})")
        for box, own, reason in zip(entry.boxes, corners.tolist(), cleaned.reasons, strict=True)
        if reason
    ]
    kept = [box for box, reason in zip(entry.boxes, cleaned.reasons, strict=True) if not reason]
    boxes = cleaned.corners[cleaned.kept][:, [1, 0, 3, 2]].astype(np.float32)
    of_box = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    stated = np.array([np.nan if box.area_px is None else box.area_px for box in kept], dtype=np.float64)
    believable = (stated > 0) & (stated <= header.width_px * header.height_px)
    image = Image(
        path=checked.path,
        name=entry.file_name,
        image_id=entry.image_id,
        width_px=header.width_px,
        height_px=header.height_px,
        boxes=boxes,
        labels=np.array([labels[box.category_id] for box in kept], dtype=np.int32),
        crowd=np.array([box.crowd for box in kept], dtype=bool),
        area=np.where(believable, stated, of_box).astype(np.float32),
        digest=header.digest,
        exif=exif,
        clipped=int(cleaned.clipped.sum()),
    )
    return image, dropped


def _frame(source: DataSource) -> list[str]:
    """What makes other pixels of the same files; nothing where they are read as usual."""
    return [] if source.exif is Exif.UPRIGHT else [f"exif {source.exif}"]


def _fingerprint(facts: list[str], images: tuple[Image, ...]) -> str:
    """The hash of contents only, so that it is the same on every machine that has the same files."""
    lines = [*facts, *(f"{image.name}\0{image.digest}" for image in images)]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()
