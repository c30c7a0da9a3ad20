"""What trial 1 tries in place of the reference's values: anchors that fit the boxes, and a start for its weights."""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from detector.config import Canvas, Optimizer
from detector.data.dataset import Dataset
from detector.data.image_cache import letterbox
from detector.weight_files.starting_point import StartingPoint
from search.policy.screens.reference_rate import BELOW, SAFE_FROM_SCRATCH, reference_rate
from spaces.anchor_fit import CanvasBoxes
from spaces.anchor_search import DerivedAnchors, derive_anchors
from spaces.catalogue import RATES
from spaces.faster_rcnn import ANCHOR_PARAMETERS, Space
from spaces.parameters import Fixed, Float, Parameter, Value, three_digits

SGD, ADAM = RATES[Optimizer.SGD], RATES[Optimizer.ADAM]
FINE_TUNING_RATE = 0.01  # SGD's per 16 images from a whole detector: amid the published ones (docs/decisions/0026)
SCRATCH_RATE, SCRATCH_BATCH = 1e-3, 4  # Adam's from scratch, per 16 images (docs/decisions/0022); √batch to others


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
    """Anchors of the space that fit the boxes, or None where the study names its anchors itself.

    The search takes seconds, and a launch asks for the same when it examines the data and when it settles the study, so
    the last few answers are kept.
    """
    if space.anchors is not None:
        return None
    ranges = tuple(space.parameters[name] for name in ANCHOR_PARAMETERS)
    key = (ranges, boxes.canvas, boxes.boxes.tobytes(), seed)
    found = _derived(_Asked(key=key, space=space, boxes=boxes))
    return replace(found, values=dict(found.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """All that derived anchors depend on; two with the same key have the same answer."""

    key: tuple[tuple[Parameter, ...], Canvas, bytes, int]  # ranges of the anchor parameters, canvas, boxes, seed
    space: Space = field(compare=False)
    boxes: CanvasBoxes = field(compare=False)


@lru_cache(maxsize=16)
def _derived(asked: _Asked) -> DerivedAnchors:
    *_, seed = asked.key
    return derive_anchors(asked.space, asked.boxes, seed=seed)


def derived_start(space: Space, *, start: StartingPoint) -> dict[str, Value]:
    """How trial 1 trains weights that begin at random, or a whole detector further, by name: Adam in small batches, so
    that there are many updates (docs/decisions/0022 and 0026).

    Without Adam in the space, the middle of SGD's rates that are safe for random weights, whose end trial 0 has; for a
    whole detector half of the reference's, in the smallest batches. Nothing with a pretrained backbone, and nothing for
    what the study does not search.
    """
    if not (start.from_scratch or start.fine_tunes):
        return {}
    batch_size = min(space.batch_sizes())
    if space.parameters["optimizer"].contains("adam"):
        rate = three_digits(SCRATCH_RATE * math.sqrt(SCRATCH_BATCH / batch_size))
        return _searched(space, ADAM, rate, optimizer="adam", batch_size=batch_size)
    if start.fine_tunes:
        return _searched(space, SGD, FINE_TUNING_RATE, batch_size=batch_size)
    return _searched(space, SGD, three_digits(reference_rate(Optimizer.SGD) * math.sqrt(SAFE_FROM_SCRATCH / BELOW)))


def _searched(space: Space, name: str, rate: float, **with_it: Value) -> dict[str, Value]:
    """The rate with what belongs to it, where the study searches rates that hold it."""
    own = space.parameters.get(name)
    if not (isinstance(own, Float) and own.contains(rate)):
        return {}
    return {key: value for key, value in with_it.items() if not isinstance(space.parameters[key], Fixed)} | {name: rate}
