"""Figures that speak before AP does: how much of what is annotated is found at all, and proposed at all."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask

from detector.data.dataset import Image

Boxes = NDArray[np.float32]  # [n, 4]: y1, x1, y2, x2

LEAST_IOU = 0.5


def recall(images: Sequence[Image], found: Sequence[Boxes]) -> float:
    """The share of the objects, crowds apart, that a box of their image overlaps by half, whatever its class.

    `found` has an entry for each of the images, in their order, in pixels of the original. NaN without objects.
    """
    objects, covered = 0, 0
    for image, boxes in zip(images, found, strict=True):
        annotated = image.boxes[~image.crowd]
        finite = boxes[np.isfinite(boxes).all(axis=1)]
        objects += len(annotated)
        if len(annotated) and len(finite):
            overlaps = mask.iou(_sides(finite), _sides(annotated), [0] * len(annotated))
            covered += int((overlaps.max(axis=0) >= LEAST_IOU).sum())
    return covered / objects if objects else float("nan")


def _sides(boxes: Boxes) -> NDArray[np.float64]:
    """x, y, width and height [n, 4], as pycocotools has them."""
    y1, x1, y2, x2 = np.asarray(boxes, dtype=np.float64).T
    return np.ascontiguousarray(np.stack([x1, y1, x2 - x1, y2 - y1], axis=1))
