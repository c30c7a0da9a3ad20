"""What trial 1 tries in place of the reference's values: anchors that fit the boxes, and a rate for random weights."""

import math

import numpy as np

from detector.config import Canvas, Optimizer
from detector.data.dataset import Dataset
from detector.data.image_cache import letterbox
from search.policy.reference_rate import BELOW, SAFE_FROM_SCRATCH, reference_rate
from spaces.anchor_fit import CanvasBoxes
from spaces.anchor_search import DerivedAnchors, derive_anchors
from spaces.catalogue import RATES
from spaces.faster_rcnn import Space
from spaces.parameters import Float, Value, three_digits

SGD = RATES[Optimizer.SGD]


def canvas_boxes(dataset: Dataset, canvas: Canvas) -> CanvasBoxes:
    """The training boxes of a dataset as they lie on the canvas."""
    counts = [len(image.training_boxes) for image in dataset.images]
    scaled = [image.training_boxes * letterbox(image, canvas)[0] for image in dataset.images]
    return CanvasBoxes(
        canvas=canvas,
        boxes=np.concatenate(scaled).astype(np.float64),
        labels=np.concatenate([image.training_labels for image in dataset.images]).astype(np.int64),
        areas=np.concatenate([image.area[~image.crowd] for image in dataset.images]).astype(np.float64),
        images=np.repeat(np.arange(len(counts)), counts),
        image_count=len(counts),
        classes=dataset.classes,
    )


def derived_anchors(boxes: CanvasBoxes, space: Space, *, seed: int) -> DerivedAnchors | None:
    """Anchors of the space that fit the boxes, or None where the study names its anchors itself."""
    return None if space.anchors is not None else derive_anchors(space, boxes, seed=seed)


def derived_rate(space: Space, *, from_scratch: bool) -> dict[str, Value]:
    """SGD's rate for trial 1, by name: from scratch the middle of the rates that are safe there, whose end trial 0 has.

    Nothing with weights, and nothing where the study does not search that rate.
    """
    own = space.parameters.get(SGD)
    if not (from_scratch and isinstance(own, Float) and space.parameters["optimizer"].contains("sgd")):
        return {}
    middle = three_digits(reference_rate(Optimizer.SGD) * math.sqrt(SAFE_FROM_SCRATCH / BELOW))
    return {SGD: middle} if own.contains(middle) else {}
