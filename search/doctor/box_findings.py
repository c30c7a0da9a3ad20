"""Findings about boxes and classes: unusable, cut, doubled, missing, too small on the canvas, unbalanced, too many."""

from collections.abc import Iterator

import numpy as np

from detector.config import Canvas, StepShape
from detector.data.cleaning import OUTSIDE
from detector.data.dataset import Dataset, Image, most_boxes
from detector.data.image_cache import letterbox
from search.doctor.finding import Finding, Severity, about, examples

DROPPED_SHARE = 0.1  # of the boxes: more is no slip but a fault of the export
CUT_SHARE = 0.01  # F16
SAME_PX = 1.0  # two boxes whose corners differ by no more are one object
EMPTY_SHARE = 0.5
TINY_PX = 4.0  # the stride of P2: such a side falls between two cells
TINY_SHARE = 0.05
PADDED_SHARE = 0.3
RARE_BOXES = 10
IMBALANCE = 100.0
WHOLE_SHARE = 0.95  # of the image's area
PER_BOX = {"proposals": 2, "roi_samples": 4}  # as many of these as an image has boxes are needed


def box_findings(train: Dataset, validation: Dataset) -> Iterator[Finding]:
    """What the boxes of both splits show, whatever the canvas."""
    for name, dataset in (("training", train), ("validation", validation)):
        yield from _dropped(name, dataset)
        yield from _cut(name, dataset)
        yield from _doubled(name, dataset)
    yield from _empty(train)
    yield from _whole(train)
    yield from _classes(train, validation)


def canvas_findings(train: Dataset, validation: Dataset, canvas: Canvas, shape: StepShape) -> Iterator[Finding]:
    """What becomes of the boxes on the canvas, and whether the network's counts suffice."""
    tiny = [(image.name, boxes) for image in train.images if (boxes := _tiny(image, canvas))]
    count, total = sum(boxes for _, boxes in tiny), sum(len(image.training_boxes) for image in train.images)
    if count:
        yield Finding(
            name="tiny-on-canvas",
            severity=Severity.WARNING if count > TINY_SHARE * total else Severity.NOTE,
            message=f"{count} of {total} boxes ({count / total:.0%}) have a side below {TINY_PX:g} px on the canvas of "
            f"{canvas}, less than one cell of P2",
            advice="enlarge detector.canvas, or cut the images into tiles; a detector can't learn what it can't see",
            count=count,
            examples=examples(f"{name} ({boxes})" for name, boxes in tiny),
        )
    yield from _padding(train, canvas)
    yield from _crowded(train, validation, shape)


def _dropped(name: str, dataset: Dataset) -> Iterator[Finding]:
    total = sum(len(image.boxes) for image in dataset.images) + len(dataset.dropped)
    hopeless = len(dataset.dropped) > DROPPED_SHARE * total
    outside = [box for box in dataset.dropped if OUTSIDE in box.reason]
    without_size = [box for box in dataset.dropped if OUTSIDE not in box.reason]
    kinds = (
        ("degenerate-boxes", without_size, "have no usable size"),
        ("boxes-outside", outside, "lie outside their image"),
    )
    for kind, boxes, what in kinds:
        if boxes:
            yield about(
                (f"{box.file}: {box.reason}" for box in boxes),
                name=kind,
                severity=Severity.ERROR if hopeless else Severity.WARNING,
                message=f"{len(boxes)} of {total} {name} boxes {what}; they are left out",
                advice="correct or delete them; one such box can make nearly every anchor positive in other trainers",
            )


def _cut(name: str, dataset: Dataset) -> Iterator[Finding]:
    if not dataset.clipped:
        return
    total = sum(len(image.boxes) for image in dataset.images)
    many = dataset.clipped > CUT_SHARE * total
    yield Finding(
        name="boxes-cut",
        severity=Severity.WARNING if many else Severity.NOTE,
        message=f"{dataset.clipped} of {total} {name} boxes reach beyond their image and are cut at its border",
        advice="look whether the images were cropped or resized after annotation" if many else "nothing",
        count=dataset.clipped,
        examples=examples(f"{image.name} ({image.clipped})" for image in dataset.images if image.clipped),
    )


def _doubled(name: str, dataset: Dataset) -> Iterator[Finding]:
    doubled, disputed = [], []
    for image in dataset.images:
        for one, other in _pairs(image):
            place = f"{image.name}: {_corners(image, other)}"
            if image.labels[one] == image.labels[other]:
                doubled.append(place)
            else:
                names = " and ".join(dataset.classes[image.labels[index]] for index in (one, other))
                disputed.append(f"{place} is {names}")
    if doubled:
        yield about(
            doubled,
            name="duplicate-boxes",
            severity=Severity.WARNING,
            message=f"{len(doubled)} {name} boxes stand twice on the same object",
            advice="delete one of each: the second counts as missed, so AP can't reach 1",
        )
    if disputed:
        yield about(
            disputed,
            name="disputed-labels",
            severity=Severity.WARNING,
            message=f"{len(disputed)} {name} boxes stand twice on the same object, with two classes",
            advice="decide on one class for each, unless objects truly are both",
        )


def _pairs(image: Image) -> list[tuple[int, int]]:
    """Pairs of boxes that differ by at most `SAME_PX` at every corner."""
    boxes = image.boxes
    one, other = np.nonzero(np.triu(np.abs(boxes[:, None, 0] - boxes[None, :, 0]) <= SAME_PX, k=1))
    same = np.abs(boxes[one] - boxes[other]).max(axis=1, initial=0.0) <= SAME_PX
    return list(zip(one[same].tolist(), other[same].tolist(), strict=True))


def _corners(image: Image, index: int) -> str:
    y1, x1, y2, x2 = image.boxes[index]
    return f"box {x1:g}, {y1:g}, {x2:g}, {y2:g}"


def _empty(train: Dataset) -> Iterator[Finding]:
    empty = [image.name for image in train.images if not len(image.training_boxes)]
    if empty:
        many = len(empty) > EMPTY_SHARE * len(train.images)
        yield about(
            empty,
            name="empty-images",
            severity=Severity.WARNING if many else Severity.NOTE,
            message=f"{len(empty)} of {len(train.images)} training images have no box; none is trained on",
            advice="look whether annotations are missing: that is the usual cause of so many" if many else "nothing",
        )


def _whole(train: Dataset) -> Iterator[Finding]:
    whole, total = [], 0
    for image in train.images:
        boxes = image.training_boxes
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        covers = int((areas >= WHOLE_SHARE * image.width_px * image.height_px).sum())
        whole += [image.name] * covers
        total += len(boxes)
    if whole:
        yield about(
            whole,
            name="whole-image-boxes",
            severity=Severity.WARNING if len(whole) > DROPPED_SHARE * total else Severity.NOTE,
            message=f"{len(whole)} of {total} training boxes cover their whole image",
            advice="look whether image labels were exported as boxes",
        )


def _classes(train: Dataset, validation: Dataset) -> Iterator[Finding]:
    counts, held_out = _by_class(train), _by_class(validation)
    names = train.classes
    absent = [name for name, count in zip(names, counts, strict=True) if not count]
    if absent:
        yield about(
            absent,
            name="classes-without-boxes",
            severity=Severity.WARNING,
            message=f"{len(absent)} of {len(names)} classes have no training box: {', '.join(absent[:10])}",
            advice="remove them from the categories; if it is the first or last alone, labels may be off by one",
        )
    unseen = [name for name, count, own in zip(names, held_out, counts, strict=True) if own and not count]
    if unseen:
        yield about(
            unseen,
            name="classes-not-validated",
            severity=Severity.WARNING,
            message=f"{len(unseen)} of {len(names)} classes have no validation box: {', '.join(unseen[:10])}",
            advice="move some of their images to validation: AP says nothing about these classes",
        )
    yield from _balance(names, counts)
    yield from _alike(names)


def _balance(names: tuple[str, ...], counts: list[int]) -> Iterator[Finding]:
    present = sorted((count, name) for name, count in zip(names, counts, strict=True) if count)
    if present and present[-1][0] >= IMBALANCE * present[0][0]:
        (fewest, rarest), (most, commonest) = present[0], present[-1]
        yield Finding(
            name="class-imbalance",
            severity=Severity.WARNING,
            message=f"there are {most / fewest:.0f} boxes of {commonest} for each of {rarest} ({most} and {fewest})",
            advice="show images of the rare class more often; AP, the mean over classes, weighs both alike",
        )
    rare = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if 0 < count < RARE_BOXES]
    if rare:
        yield about(
            rare,
            name="rare-classes",
            severity=Severity.WARNING,
            message=f"{len(rare)} of {len(names)} classes have fewer than {RARE_BOXES} training boxes",
            advice="annotate more of them, or merge them with others: nothing can be learned from so few",
        )


def _alike(names: tuple[str, ...]) -> Iterator[Finding]:
    by_plain: dict[str, list[str]] = {}
    for name in names:
        by_plain.setdefault("".join(name.casefold().split()).rstrip("s"), []).append(name)
    alike = [" = ".join(map(repr, same)) for same in by_plain.values() if len(same) > 1]
    if alike:
        yield about(
            alike,
            name="classes-alike",
            severity=Severity.WARNING,
            message=f"{len(alike)} classes are written in several ways: {', '.join(alike[:5])}",
            advice="use one spelling: these are different classes to the detector",
        )


def _by_class(dataset: Dataset) -> list[int]:
    labels = np.concatenate([image.training_labels for image in dataset.images])
    counts: list[int] = np.bincount(labels, minlength=len(dataset.classes)).tolist()
    return counts


def _tiny(image: Image, canvas: Canvas) -> int:
    boxes = image.training_boxes * letterbox(image, canvas)[0]
    return int(((boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) < TINY_PX).sum())


def _padding(train: Dataset, canvas: Canvas) -> Iterator[Finding]:
    extents = np.array([letterbox(image, canvas)[1] for image in train.images])
    padded = 1.0 - extents.prod(axis=1) / canvas.area_px
    if padded.mean() > PADDED_SHARE:
        worst = sorted(zip(padded.tolist(), (image.name for image in train.images), strict=True), reverse=True)
        yield Finding(
            name="padded-canvas",
            severity=Severity.WARNING,
            message=f"{padded.mean():.0%} of the canvas of {canvas} is padding, on average",
            advice="set detector.canvas to the images' own aspect (auto does); cut very long images into tiles",
            count=int((padded > PADDED_SHARE).sum()),
            examples=examples(f"{name} ({share:.0%})" for share, name in worst),
        )


def needed_counts(train: Dataset, shape: StepShape) -> dict[str, int]:
    """Counts of `detector` that the densest training image needs, where the step's are too small."""
    dense = most_boxes(train)
    here = {"proposals": shape.proposals_train, "roi_samples": shape.roi_samples}
    return {key: -(-dense * times // 64) * 64 for key, times in PER_BOX.items() if dense > here[key] // times}


def _crowded(train: Dataset, validation: Dataset, shape: StepShape) -> Iterator[Finding]:
    needed = needed_counts(train, shape)
    parts = {
        "proposals": (f"half of the {shape.proposals_train} proposals", shape.proposals_train),
        "roi_samples": (f"a quarter of {shape.roi_samples} sampled RoIs", shape.roi_samples),
    }
    for key, count in needed.items():
        what, here = parts[key]
        yield _too_few(train, what, most=here // PER_BOX[key], key=key, needed=count)
    most = shape.detections
    above = [(len(image.boxes), image.name) for image in validation.images if len(image.boxes) > most]
    if above:
        yield about(
            (f"{name} ({count})" for count, name in sorted(above, reverse=True)),
            name="more-boxes-than-detections",
            severity=Severity.WARNING,
            message=f"{len(above)} validation images have more than {most} boxes, as many as the detector may return",
            advice="cut the images into tiles: AP can't reach 1 on these",
        )


def _too_few(train: Dataset, what: str, *, most: int, key: str, needed: int) -> Finding:
    """Some images have more than `most` boxes, which is a part of what `key` counts."""
    dense = [(len(image.training_boxes), image.name) for image in train.images]
    above = sorted((each for each in dense if each[0] > most), reverse=True)
    return about(
        (f"{name} ({count})" for count, name in above),
        name=f"too-few-{key.replace('_', '-')}",
        severity=Severity.WARNING,
        message=f"{len(above)} training images have more than {most} boxes, {what}; the most is {above[0][0]}",
        advice=f"set detector.{key} to {needed} or more",
    )
