"""Checks of what becomes of the data on the canvas: boxes of few pixels, padding, too many boxes for the network."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from detector.config import Canvas, StepShape
from detector.data.dataset import Dataset, Image, most_boxes
from detector.data.image_cache import letterbox
from search.doctor.diagnostic import Diagnostic, Level, first_few, located
from search.doctor.larger_canvas import larger_canvas
from search.study.canvas import canvas_for

TINY_PX = 4.0  # the stride of P2: such a side falls between two cells
TINY_SHARE = 0.05
PADDED_SHARE = 0.3
PER_BOX = {"proposals": 2, "roi_samples": 4}  # as many of these as an image has boxes are needed


def check_canvas(train: Dataset, validation: Dataset, canvas: Canvas, shape: StepShape) -> Iterator[Diagnostic]:
    """What becomes of the boxes on the canvas, and whether the network's counts suffice."""
    yield from _tiny(train, canvas)
    yield from _padding(train, canvas)
    yield from _crowded(train, validation, shape)


def needed_counts(train: Dataset, shape: StepShape) -> dict[str, int]:
    """Counts of `detector` that the densest training image needs, where the step's are too small."""
    dense = most_boxes(train)
    here = {"proposals": shape.proposals_train, "roi_samples": shape.roi_samples}
    return {key: -(-dense * times // 64) * 64 for key, times in PER_BOX.items() if dense > here[key] // times}


def _tiny(train: Dataset, canvas: Canvas) -> Iterator[Diagnostic]:
    tiny = _tiny_images(train, canvas)
    count, total = sum(boxes for _, boxes in tiny), sum(len(image.training_boxes) for image in train.images)
    if count:
        yield Diagnostic(
            name="tiny-on-canvas",
            level=Level.WARNING if count > TINY_SHARE * total else Level.NOTE,
            message=f"{count} of {total} boxes ({count / total:.0%}) have a side below {TINY_PX:g} px on the canvas of "
            f"{canvas}, less than one cell of P2",
            advice=_less_tiny(train, canvas, total),
            count=count,
            examples=first_few(f"{name} ({boxes})" for name, boxes in tiny),
        )


def _less_tiny(train: Dataset, canvas: Canvas, total: int) -> str:
    """A canvas on which few boxes are tiny; nothing, where that is so already."""

    def few(wanted: Canvas) -> bool:
        return sum(boxes for _, boxes in _tiny_images(train, wanted)) <= TINY_SHARE * total

    if few(canvas):
        return "nothing, if these few may stay unlearned; a detector can't learn what it can't see"
    return larger_canvas(canvas, 1.0, few)


def _tiny_images(train: Dataset, canvas: Canvas) -> list[tuple[str, int]]:
    """The images with tiny boxes, and how many."""
    return [(image.name, boxes) for image in train.images if (boxes := _tiny_boxes(image, canvas))]


def _tiny_boxes(image: Image, canvas: Canvas) -> int:
    boxes = image.training_boxes * letterbox(image, canvas)[0]
    return int(((boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) < TINY_PX).sum())


def _padding(train: Dataset, canvas: Canvas) -> Iterator[Diagnostic]:
    padded = _padded(train, canvas)
    if padded.mean() > PADDED_SHARE:
        worst = sorted(zip(padded.tolist(), (image.name for image in train.images), strict=True), reverse=True)
        yield Diagnostic(
            name="padded-canvas",
            level=Level.WARNING,
            message=f"{padded.mean():.0%} of the canvas of {canvas} is padding, on average",
            advice=_less_padding(train, canvas),
            count=int((padded > PADDED_SHARE).sum()),
            examples=first_few(f"{name} ({share:.0%})" for share, name in worst),
        )


def _padded(train: Dataset, canvas: Canvas) -> NDArray[np.float64]:
    """The share of the canvas that each image leaves empty, [n]."""
    extents = np.array([letterbox(image, canvas)[1] for image in train.images])
    return 1.0 - extents.prod(axis=1) / canvas.area_px


def _less_padding(train: Dataset, canvas: Canvas) -> str:
    """The canvas of the images' own aspect, where that leaves less empty."""
    sizes_px = [(image.height_px, image.width_px) for image in train.images]
    own = canvas_for(sizes_px, max(canvas.height_px, canvas.width_px))
    share = _padded(train, own).mean()
    if share <= PADDED_SHARE:
        return f"set detector.canvas to {own}, the images' own aspect, of which {share:.0%} is padding"
    return "cut long images into tiles, or study images of one aspect by themselves: no canvas fits these together"


def _crowded(train: Dataset, validation: Dataset, shape: StepShape) -> Iterator[Diagnostic]:
    parts = {
        "proposals": (f"half of the {shape.proposals_train} proposals", shape.proposals_train),
        "roi_samples": (f"a quarter of {shape.roi_samples} sampled RoIs", shape.roi_samples),
    }
    for key, needed in needed_counts(train, shape).items():
        part, here = parts[key]
        most = here // PER_BOX[key]
        above = _denser(((len(image.training_boxes), image.name) for image in train.images), most)
        yield from located(
            (f"{name} ({count})" for count, name in above),
            name=f"too-few-{key.replace('_', '-')}",
            level=Level.WARNING,
            message=f"{len(above)} training images have more than {most} boxes, {part}; the most is {above[0][0]}",
            advice=f"set detector.{key} to {needed} or more",
        )
    most = shape.detections
    above = _denser(((len(image.boxes), image.name) for image in validation.images), most)
    yield from located(
        (f"{name} ({count})" for count, name in above),
        name="more-boxes-than-detections",
        level=Level.WARNING,
        message=f"{len(above)} validation images have more than {most} boxes, as many as the detector may return",
        advice="cut the images into tiles: AP can't reach 1 on these",
    )


def _denser(images: Iterable[tuple[int, str]], most: int) -> list[tuple[int, str]]:
    """Images with more boxes than that, by count and name, the densest first."""
    return sorted((each for each in images if each[0] > most), reverse=True)
