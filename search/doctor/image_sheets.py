"""Images of the training data with their boxes and the best anchor of each: Detectron2's beside the derived ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detector.data.dataset import Dataset
from search.doctor.anchor_advice import REFERENCE, AnchorAdvice, FittedAnchors
from search.drawing.boxes_on_image import BoxesOnImage
from search.drawing.figure import BLUE, ORANGE
from search.drawing.sheet import LegendEntry, Panel, sheet
from spaces.anchor_fit import HALF_IOU, best_anchors, best_ious

LONG_SIDE_PX = 800  # of an image in a sheet
NEAR_SHARE = 0.1  # of the images: so near to the rank that is wanted is as good as there
BOX, MISSED = "#ffffff", "#ff4fd8"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedAnchors:
    """A set of anchors with its name and its colour, the same in every picture."""

    name: str
    fitted: FittedAnchors
    colour: str


def compared(advice: AnchorAdvice) -> list[ComparedAnchors]:
    """Detectron2's anchors, and the best ones of the study where those are others."""
    reference = ComparedAnchors(name="Detectron2's anchors", fitted=advice.fitted[REFERENCE], colour=ORANGE)
    name = next(name for name, each in advice.fitted.items() if each is advice.best)
    if name == REFERENCE:
        return [reference]
    return [reference, ComparedAnchors(name=f"the {name} anchors", fitted=advice.best, colour=BLUE)]


def image_sheets(advice: AnchorAdvice, train: Dataset, sets: Sequence[ComparedAnchors]) -> Iterator[tuple[str, bytes]]:
    """A PNG file by name for each chosen image, with a panel for each set of anchors.

    Raises:
        DataError: an image cannot be decoded.
    """
    boxes = advice.boxes
    means, counts = _mean_ious(advice, advice.best), np.bincount(boxes.images, minlength=boxes.image_count)
    headings = {
        "worst": "the image that {} fit worst",
        "median": "an image that {} fit as well as most",
        "best": "one of the images that {} fit best",
        "densest": "the image with the most boxes",
    }
    for name, index in chosen_images(means, counts, [image.digest for image in train.images]).items():
        what = headings[name].format(sets[-1].name)
        heading = f"{train.images[index].name}: {what} ({counts[index]} box{'' if counts[index] == 1 else 'es'})"
        yield name, sheet(heading, [_panel(advice, train, index, each) for each in sets], _legend(sets))


def chosen_images(means: np.ndarray, counts: np.ndarray, contents: Sequence[str]) -> dict[str, int]:
    """The position of an image for each name, all of different content; fewer where there are fewer with boxes.

    `means` [n] is how well the boxes of each image are fitted, `counts` [n] how many there are. Where several images
    are about as good an example, it is the one that lies furthest in the set from those before: neighbours look alike.
    """
    ranked = [index for index in np.argsort(means, kind="stable").tolist() if counts[index]]
    near, last = max(1, round(NEAR_SHARE * len(ranked))), len(ranked) - 1
    middle_out = [ranked[place] for place in sorted(range(len(ranked)), key=lambda place: abs(2 * place - last))]
    densest = sorted(ranked, key=lambda index: -int(counts[index]))
    chosen: dict[str, int] = {}
    for name, order, alike in (
        ("worst", ranked, 1),
        ("densest", densest, 1),
        ("median", middle_out, near),
        ("best", ranked[::-1], near),
    ):
        shown = {contents[index] for index in chosen.values()}
        others = [index for index in order if contents[index] not in shown]
        if others:
            chosen[name] = max(others[:alike], key=lambda index: _distance(index, chosen))
    return chosen


def _distance(index: int, chosen: dict[str, int]) -> int:
    return min((abs(index - other) for other in chosen.values()), default=0)


def _mean_ious(advice: AnchorAdvice, fitted: FittedAnchors) -> np.ndarray:
    """The mean over the boxes of each image of their best IoU, [images]; 0 without boxes."""
    boxes = advice.boxes
    ious = best_ious(boxes.boxes, fitted.anchors, boxes.canvas)
    counts = np.bincount(boxes.images, minlength=boxes.image_count)
    return np.bincount(boxes.images, weights=ious, minlength=boxes.image_count) / np.maximum(counts, 1)


def _panel(advice: AnchorAdvice, train: Dataset, index: int, each: ComparedAnchors) -> Panel:
    canvas, here = advice.boxes.canvas, advice.boxes.images == index
    boxes, labels = advice.boxes.boxes[here], advice.boxes.labels[here]
    ious = best_ious(boxes, each.fitted.anchors, canvas)
    missed = ious < HALF_IOU
    drawn = BoxesOnImage(train.images[index], canvas, long_side_px=max(LONG_SIDE_PX, canvas.height_px, canvas.width_px))
    for chosen, colour in ((~missed, BOX), (missed, MISSED)):
        drawn.outline(boxes[chosen], "black", width_px=4)  # so that white stands out on a pale image
        drawn.outline(boxes[chosen], colour, width_px=3)
    drawn.outline(best_anchors(boxes, each.fitted.anchors, canvas), each.colour, width_px=3, dashed=True)
    drawn.label(boxes, [f"{train.classes[label]} {iou:.2f}" for label, iou in zip(labels, ious, strict=True)])
    reached = f"{int((~missed).sum())} of {len(boxes)}"
    title = f"{each.name}: mean IoU {ious.mean():.2f}, boxes with {HALF_IOU:g} or more: {reached}"
    return Panel(title=title, picture=drawn.picture)


def _legend(sets: Sequence[ComparedAnchors]) -> list[LegendEntry]:
    return [
        LegendEntry(colour=BOX, meaning=f"a box with its class and its best IoU with any anchor, {HALF_IOU:g} or more"),
        LegendEntry(colour=MISSED, meaning=f"a box that no anchor overlaps with an IoU of {HALF_IOU:g}"),
        *(LegendEntry(colour=s.colour, meaning=f"the best of {s.name} for each box", dashed=True) for s in sets),
    ]
