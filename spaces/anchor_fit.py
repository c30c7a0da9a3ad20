"""How well anchors fit boxes, on the grid and at the thresholds that the RPN itself uses.

Shapes: n boxes, L levels, A anchors per cell, S = L·A anchor shapes. Boxes are `yxyx` in canvas pixels, each with an
area. Anchors stand at cell centres, (i + 0.5) · stride, and are not clipped, as in the network; so a fit shows
what zero-centred measures hide: an 8 px box between two cells of stride 4 reaches an IoU of 0.39 at most.

The best cell of a shape is the one nearest to the box's centre on each axis, because the overlap is a product of one
factor per axis, each falling with distance. So no grid is ever built.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detector.config import (
    LEAST_BEST_IOU,
    LEVELS,
    NEGATIVE_IOU,
    POSITIVE_IOU,
    STRIDES_PX,
    TIE_TOLERANCE,
    Anchors,
    Canvas,
)
from detector.object_size import OBJECT_SIZES, object_sizes

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HALF_IOU = 0.5  # of a fair match, between the RPN's bounds of a positive and a negative anchor
BOXES_AT_ONCE = 8192  # bounds the memory
CELLS_AT_ONCE = 200_000

_STRIDES = np.array(STRIDES_PX, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CanvasBoxes:
    """The boxes of a dataset on one canvas. Its arrays must not be written to."""

    canvas: Canvas
    boxes: Floats  # [n, 4]
    labels: Integers  # [n] in 0 … K-1
    areas: Floats  # [n] of the objects, in square pixels of the original image, whatever the canvas
    images: Integers  # [n] position of each one's image
    image_count: int
    classes: tuple[str, ...]  # [K]

    @property
    def sizes_px(self) -> Floats:
        """Square root of each box's area on the canvas, [n]."""
        return np.sqrt((self.boxes[:, 2] - self.boxes[:, 0]) * (self.boxes[:, 3] - self.boxes[:, 1]))

    def select(self, chosen: Integers) -> "CanvasBoxes":
        """The boxes at these positions alone; images and classes stay."""
        rows = {name: getattr(self, name)[chosen] for name in ("boxes", "labels", "areas", "images")}
        return replace(self, **rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How a group of boxes is covered, by the best IoU of each with any anchor; NaN for a group without boxes."""

    boxes: int
    mean_iou: float
    positive: float  # share at 0.7 and above: a positive anchor by its own merit
    half: float  # share at 0.5 and above
    negative: float  # share below 0.3: only the low-quality rule gives these any anchor at all


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorFit:
    """The fit of one set of anchors to one dataset."""

    per_cell: int
    whole: Shares
    by_size: dict[str, Shares]  # small, medium, large: by COCO's areas in the original image
    by_class: dict[str, Shares]
    positives_per_image: float  # positive anchors, over images with boxes, the low-quality rule included
    images_without_positives: int  # with boxes, but no anchor at 0.7: only low-quality ones


def fit_anchors(data: CanvasBoxes, anchors: Anchors, *, positive_iou: float = POSITIVE_IOU) -> AnchorFit:
    """The fit of the anchors to the boxes, as the RPN would match them."""
    best = best_ious(data.boxes, anchors, data.canvas)
    sizes = object_sizes(data.areas)
    counts = positive_anchors(data, anchors, positive_iou=positive_iou)
    with_boxes = np.bincount(data.images, minlength=data.image_count) > 0
    own = np.bincount(data.images[best >= positive_iou], minlength=data.image_count) > 0
    return AnchorFit(
        per_cell=anchors.per_cell,
        whole=_shares(best, positive_iou),
        by_size={name: _shares(best[sizes == index], positive_iou) for index, name in enumerate(OBJECT_SIZES)},
        by_class={name: _shares(best[data.labels == label], positive_iou) for label, name in enumerate(data.classes)},
        positives_per_image=float(counts[with_boxes].mean()) if with_boxes.any() else math.nan,
        images_without_positives=int((with_boxes & ~own).sum()),
    )


def best_ious(boxes: Floats, anchors: Anchors, canvas: Canvas) -> Floats:
    """The largest IoU of each box with any anchor of the canvas, [n]."""
    return np.concatenate([part.max(axis=1) for part in _parts(boxes, anchors, canvas)] or [np.zeros(0)])


def share_fitted(boxes: Floats, anchors: Anchors, canvas: Canvas) -> float:
    """The share of the boxes with an IoU of 0.5 or more with one of the anchors of the canvas."""
    return float((best_ious(boxes, anchors, canvas) >= HALF_IOU).mean())


def best_anchors(boxes: Floats, anchors: Anchors, canvas: Canvas) -> Floats:
    """The anchor with the largest IoU for each box, [n, 4]; of equal ones the first in the RPN's order of shapes."""
    heights, widths = anchor_shapes(anchors)
    chosen = np.concatenate([part.argmax(axis=1) for part in _parts(boxes, anchors, canvas)] or [np.zeros(0, np.int64)])
    rows, levels = np.arange(len(boxes)), chosen // anchors.per_cell
    centre_y, centre_x = (axis[rows, levels] for axis in _nearest_centres(boxes, canvas))
    half_height, half_width = heights[chosen] / 2, widths[chosen] / 2
    return np.stack(
        [centre_y - half_height, centre_x - half_width, centre_y + half_height, centre_x + half_width], axis=1
    )


def anchor_shapes(anchors: Anchors) -> tuple[Floats, Floats]:
    """Heights and widths [S] of the anchors at a cell, level slowest, then sizes, ratios fastest."""
    sizes = np.array(anchors.sizes_px, dtype=np.float64)[:, :, None]  # [L, sizes, 1]
    roots = np.sqrt(np.array(anchors.ratios, dtype=np.float64))  # [ratios]
    return (sizes * roots).reshape(-1), (sizes / roots).reshape(-1)


def positive_anchors(data: CanvasBoxes, anchors: Anchors, *, positive_iou: float = POSITIVE_IOU) -> Integers:
    """How many anchors the RPN would label positive in each image, [image_count], the low-quality rule included.

    An anchor that fits several boxes counts once.
    """
    data = data.select(np.argsort(data.images, kind="stable"))
    counts, per_image = np.zeros(data.image_count, np.int64), _keys_per_image(data.canvas, anchors)
    for part in _whole_images(data.images):
        found = [np.unique(keys) for keys in _positive_keys(data, part, anchors, positive_iou)]
        images, of_each = np.unique(np.unique(np.concatenate(found or [counts[:0]])) // per_image, return_counts=True)
        counts[images] += of_each
    return counts


def _whole_images(images: Integers) -> Iterator[slice]:
    """Consecutive boxes, about `BOXES_AT_ONCE`, that hold all of their images' boxes; the images are sorted."""
    start = 0
    while start < len(images):
        last = min(start + BOXES_AT_ONCE, len(images)) - 1
        stop = int(np.searchsorted(images, images[last], side="right"))
        yield slice(start, stop)
        start = stop


def _parts(boxes: Floats, anchors: Anchors, canvas: Canvas) -> Iterator[Floats]:
    """The best IoU over the cells [m, S] of each box with each shape, some boxes at a time."""
    heights, widths = anchor_shapes(anchors)
    for start in range(0, len(boxes), BOXES_AT_ONCE):
        yield _shape_ious(boxes[start : start + BOXES_AT_ONCE], heights, widths, canvas)


def _shape_ious(boxes: Floats, heights: Floats, widths: Floats, canvas: Canvas) -> Floats:
    """The IoU [n, S] of each box with each shape in the cell that is best for the two."""
    level_of_shape = np.repeat(np.arange(LEVELS), len(heights) // LEVELS)  # [S]
    overlaps, areas = [], []
    for axis, (centres, lengths) in enumerate(zip(_nearest_centres(boxes, canvas), (heights, widths), strict=True)):
        low, high = boxes[:, axis, None], boxes[:, axis + 2, None]
        distances = np.abs((low + high) / 2 - centres)[:, level_of_shape]  # [n, S]
        overlaps.append(_overlap(distances, high - low, lengths))
        areas.append(high - low)
    shared = overlaps[0] * overlaps[1]
    return shared / (areas[0] * areas[1] + heights * widths - shared)


def _overlap(distances: Floats, box_lengths: Floats, anchor_lengths: Floats) -> Floats:
    """The length that two intervals have in common, from the distance of their centres."""
    reach = (box_lengths + anchor_lengths) / 2 - distances
    return np.clip(reach, 0.0, np.minimum(box_lengths, anchor_lengths))


def _nearest_centres(boxes: Floats, canvas: Canvas) -> tuple[Floats, Floats]:
    """Coordinates y and x [n, L] of the cell centre that is nearest to each box's centre on each level."""
    centres = []
    for axis, cells in enumerate(_cells(canvas)):
        middle = (boxes[:, axis, None] + boxes[:, axis + 2, None]) / 2
        index = np.clip(np.floor(middle / _STRIDES), 0, cells - 1)
        centres.append((index + 0.5) * _STRIDES)
    return centres[0], centres[1]


def _cells(canvas: Canvas) -> tuple[Integers, Integers]:
    """Cells [L] of each level, high and wide."""
    high, wide = (np.ceil(length / _STRIDES).astype(np.int64) for length in (canvas.height_px, canvas.width_px))
    return high, wide


def _keys_per_image(canvas: Canvas, anchors: Anchors) -> int:
    high, wide = _cells(canvas)
    return int((high * wide).max()) * LEVELS * anchors.per_cell


def _positive_keys(data: CanvasBoxes, part: slice, anchors: Anchors, positive_iou: float) -> Iterator[Integers]:
    """A number for each positive anchor, distinct over images, shapes and cells; an anchor may come more than once."""
    heights, widths = anchor_shapes(anchors)
    boxes, canvas = data.boxes[part], data.canvas
    ious = _shape_ious(boxes, heights, widths, canvas)  # [m, S]
    best = ious.max(axis=1)
    needed = np.minimum(positive_iou, np.where(best > LEAST_BEST_IOU, best - TIE_TOLERANCE, np.inf))  # [m]
    box, shape = np.nonzero(ious >= needed[:, None])
    if not len(box):
        return
    high, wide = _cells(canvas)
    level = shape // anchors.per_cell
    windows = _windows(boxes[box], heights[shape], widths[shape], needed[box], level, canvas)  # [p, 4]
    counts = (windows[:, 2] - windows[:, 0]) * (windows[:, 3] - windows[:, 1])
    for pairs in _chunks(counts):
        which = np.repeat(pairs, counts[pairs])
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts[pairs]) - counts[pairs], counts[pairs])
        window = windows[which]
        columns = window[:, 3] - window[:, 1]
        y, x = window[:, 0] + within // columns, window[:, 1] + within % columns
        iou = _cell_ious(boxes[box[which]], heights[shape[which]], widths[shape[which]], y, x, _STRIDES[level[which]])
        good = iou >= needed[box[which]]
        cell = y[good] * wide[level[which[good]]] + x[good]
        image = data.images[part][box[which[good]]]
        largest = int((high * wide).max())
        yield image * _keys_per_image(canvas, anchors) + shape[which[good]] * largest + cell


def _windows(
    boxes: Floats, heights: Floats, widths: Floats, needed: Floats, level: Integers, canvas: Canvas
) -> Integers:
    """Cells [p, 4] (first y, first x, behind the last y, x) outside of which a pair cannot reach the IoU needed."""
    sides = [boxes[:, axis + 2] - boxes[:, axis] for axis in (0, 1)]
    shared = needed / (1 + needed) * (sides[0] * sides[1] + heights * widths)  # the overlap at that IoU
    most = [np.minimum(side, length) for side, length in zip(sides, (heights, widths), strict=True)]
    strides, first, behind = _STRIDES[level], [], []
    for axis, (lengths, cells) in enumerate(zip((heights, widths), _cells(canvas), strict=True)):
        reach = (sides[axis] + lengths) / 2 - shared / most[1 - axis] + 1e-6 * strides
        middle = (boxes[:, axis] + boxes[:, axis + 2]) / 2
        first.append(np.clip(np.ceil((middle - reach) / strides - 0.5), 0, cells[level] - 1))
        behind.append(np.clip(np.floor((middle + reach) / strides - 0.5) + 1, 0, cells[level]))
    windows = np.stack([*first, *behind], axis=1).astype(np.int64)
    windows[:, 2:] = np.maximum(windows[:, 2:], windows[:, :2])
    return windows


def _chunks(counts: Integers) -> Iterator[Integers]:
    """Positions of consecutive pairs that have about `CELLS_AT_ONCE` cells together."""
    group = np.cumsum(counts) // CELLS_AT_ONCE
    yield from np.split(np.arange(len(counts)), np.flatnonzero(np.diff(group)) + 1)


def _cell_ious(boxes: Floats, heights: Floats, widths: Floats, y: Integers, x: Integers, strides: Floats) -> Floats:
    """The IoU [m] of boxes with the shapes in given cells."""
    shared, area = np.ones(len(boxes)), np.ones(len(boxes))
    for axis, (index, lengths) in enumerate(((y, heights), (x, widths))):
        low, high = boxes[:, axis], boxes[:, axis + 2]
        shared = shared * _overlap(np.abs((low + high) / 2 - (index + 0.5) * strides), high - low, lengths)
        area = area * (high - low)
    return shared / (area + heights * widths - shared)


def _shares(best: Floats, positive_iou: float) -> Shares:
    if not len(best):
        return Shares(boxes=0, mean_iou=math.nan, positive=math.nan, half=math.nan, negative=math.nan)
    return Shares(
        boxes=len(best),
        mean_iou=float(best.mean()),
        positive=float((best >= positive_iou).mean()),
        half=float((best >= HALF_IOU).mean()),
        negative=float((best < NEGATIVE_IOU).mean()),
    )
