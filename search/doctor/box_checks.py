"""Checks of the boxes of both splits, whatever the canvas: unusable, cut, doubled, missing, as large as the image."""

from collections.abc import Iterator

import numpy as np

from detector.data.cleaning import OUTSIDE
from detector.data.dataset import Dataset, Image
from search.doctor.diagnostic import Diagnostic, Level, first_few, located

DROPPED_SHARE = 0.1  # of the boxes: more is no slip but a fault of the export
CUT_SHARE = 0.01  # F16
SAME_PX = 1.0  # two boxes whose corners differ by no more are one object
EMPTY_SHARE = 0.5
WHOLE_SHARE = 0.95  # of the image's area


def check_boxes(train: Dataset, validation: Dataset) -> Iterator[Diagnostic]:
    """What the boxes of both splits show."""
    for split, dataset in (("training", train), ("validation", validation)):
        yield from _dropped(split, dataset)
        yield from _cut(split, dataset)
        yield from _doubled(split, dataset)
    yield from _empty(train)
    yield from _whole(train)


def _dropped(split: str, dataset: Dataset) -> Iterator[Diagnostic]:
    total = sum(len(image.boxes) for image in dataset.images) + len(dataset.dropped)
    many = len(dataset.dropped) > DROPPED_SHARE * total
    for name, outside, what in (
        ("degenerate-boxes", False, "have no usable size"),
        ("boxes-outside", True, "lie outside their image"),
    ):
        boxes = [box for box in dataset.dropped if (OUTSIDE in box.reason) is outside]
        yield from located(
            (f"{box.file}: {box.reason}" for box in boxes),
            name=name,
            level=Level.ERROR if many else Level.WARNING,
            message=f"{len(boxes)} of {total} {split} boxes {what}; they are left out",
            advice="correct or delete them; one such box can make nearly every anchor positive in other trainers",
        )


def _cut(split: str, dataset: Dataset) -> Iterator[Diagnostic]:
    if not dataset.clipped:
        return
    total = sum(len(image.boxes) for image in dataset.images)
    many = dataset.clipped > CUT_SHARE * total
    yield Diagnostic(
        name="boxes-cut",
        level=Level.WARNING if many else Level.NOTE,
        message=f"{dataset.clipped} of {total} {split} boxes reach beyond their image and are cut at its border",
        advice="look whether the images were cropped or resized after annotation" if many else "nothing",
        count=dataset.clipped,
        examples=first_few(f"{image.name} ({image.clipped})" for image in dataset.images if image.clipped),
    )


def _doubled(split: str, dataset: Dataset) -> Iterator[Diagnostic]:
    doubled, disputed = [], []
    for image in dataset.images:
        for one, other in _pairs(image):
            y1, x1, y2, x2 = image.boxes[other]
            place = f"{image.name}: box {x1:g}, {y1:g}, {x2:g}, {y2:g}"
            if image.labels[one] == image.labels[other]:
                doubled.append(place)
            else:
                names = " and ".join(dataset.classes[image.labels[index]] for index in (one, other))
                disputed.append(f"{place} is {names}")
    yield from located(
        doubled,
        name="duplicate-boxes",
        level=Level.WARNING,
        message=f"{len(doubled)} {split} boxes stand twice on the same object",
        advice="delete one of each: the second counts as missed, so AP can't reach 1",
    )
    yield from located(
        disputed,
        name="disputed-labels",
        level=Level.WARNING,
        message=f"{len(disputed)} {split} boxes stand twice on the same object, with two classes",
        advice="decide on one class for each, unless objects truly are both",
    )


def _pairs(image: Image) -> list[tuple[int, int]]:
    """Pairs of boxes that differ by at most `SAME_PX` at every corner."""
    boxes = image.boxes
    one, other = np.nonzero(np.triu(np.abs(boxes[:, None, 0] - boxes[None, :, 0]) <= SAME_PX, k=1))
    same = np.abs(boxes[one] - boxes[other]).max(axis=1, initial=0.0) <= SAME_PX
    return list(zip(one[same].tolist(), other[same].tolist(), strict=True))


def _empty(train: Dataset) -> Iterator[Diagnostic]:
    empty = [image.name for image in train.images if not len(image.training_boxes)]
    many = len(empty) > EMPTY_SHARE * len(train.images)
    yield from located(
        empty,
        name="empty-images",
        level=Level.WARNING if many else Level.NOTE,
        message=f"{len(empty)} of {len(train.images)} training images have no box; none is trained on",
        advice="look whether annotations are missing: that is the usual cause of so many" if many else "nothing",
    )


def _whole(train: Dataset) -> Iterator[Diagnostic]:
    whole, total = [], 0
    for image in train.images:
        boxes = image.training_boxes
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        covers = int((areas >= WHOLE_SHARE * image.width_px * image.height_px).sum())
        whole += [image.name] * covers
        total += len(boxes)
    yield from located(
        whole,
        name="whole-image-boxes",
        level=Level.WARNING if len(whole) > DROPPED_SHARE * total else Level.NOTE,
        message=f"{len(whole)} of {total} training boxes cover their whole image",
        advice="look whether image labels were exported as boxes",
    )
