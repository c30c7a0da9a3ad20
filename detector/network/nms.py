"""Non-maximum suppression: exactly the greedy result, without a loop over boxes.

Shapes: `...` independent sets (images, levels), K boxes of a set in order of falling score; `yxyx` float32 pixels.
An empty box suppresses nothing and is suppressed by nothing.
"""

import math
from typing import cast

from keras import ops

from detector.boxes import Tensor, pairwise_iou

# Above this many pairs (256 MB in float32) the sets are worked through one by one, so that memory holds one matrix.
MOST_PAIRS_AT_ONCE = 2**26

# Groups are laid out in rows of this many, which keeps coordinates small and so the rounding of float32 harmless.
GROUPS_PER_ROW = 32


def non_maximum_suppression(boxes: Tensor, valid: Tensor, iou_threshold: Tensor) -> Tensor:
    """Which boxes greedy suppression keeps, bool [..., K].

    `boxes` [..., K, 4] fall in score, `valid` [..., K] marks the real ones. A box goes when a kept box before it
    overlaps it by more than `iou_threshold`. No gradient flows.
    """
    boxes = ops.stop_gradient(boxes)
    valid = ops.cast(valid, "bool")
    shape = tuple(boxes.shape[:-1])
    sets = math.prod(shape[:-1])
    if sets * shape[-1] ** 2 <= MOST_PAIRS_AT_ONCE or sets == 1:
        return _suppress(boxes, valid, iou_threshold)
    flat = (ops.reshape(boxes, (sets, shape[-1], 4)), ops.reshape(valid, (sets, shape[-1])))
    return ops.reshape(ops.map(lambda one: _suppress(one[0], one[1], iou_threshold), flat), shape)


def _suppress(boxes: Tensor, valid: Tensor, iou_threshold: Tensor) -> Tensor:
    """Iterates `keep[j] = valid[j] and no kept i < j overlaps j` to its fixed point.

    The fixed point is unique and is the greedy answer: each pass settles at least the first box not yet settled, so
    the passes are as many as the longest chain of boxes that suppress one another, usually fewer than ten.
    """
    count = boxes.shape[-2]
    before = ops.arange(count)[:, None] < ops.arange(count)[None, :]  # [K, K]
    overlaps = ops.logical_and(pairwise_iou(boxes, boxes) > iou_threshold, before)
    suppresses = ops.cast(overlaps, "float32")  # [..., i, j]; a matrix product is the cheapest `any`

    def unsettled(keep: Tensor, previous: Tensor) -> Tensor:
        return ops.any(ops.not_equal(keep, previous))

    def step(keep: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        suppressors = ops.matmul(ops.cast(keep, "float32")[..., None, :], suppresses)[..., 0, :]  # [..., K]
        return ops.logical_and(valid, suppressors < 0.5), keep

    start = step(valid, valid)
    keep, _ = cast(tuple[Tensor, Tensor], ops.while_loop(unsettled, step, start, maximum_iterations=count))
    return keep


def separated(boxes: Tensor, groups: Tensor) -> Tensor:
    """`boxes` [..., 4] moved so far apart that boxes of different `groups` (integers >= 0, [...]) never overlap.

    Overlaps within a group stay what they were, up to the rounding of larger coordinates. Boxes that are not finite
    stay so and disturb no others.
    """
    finite = ops.where(ops.isfinite(boxes), boxes, 0.0)
    span = ops.max(finite) - ops.min(finite) + 1.0
    row = ops.cast(ops.floor_divide(groups, GROUPS_PER_ROW), "float32") * span
    column = ops.cast(ops.mod(groups, GROUPS_PER_ROW), "float32") * span
    return boxes + ops.stack([row, column, row, column], axis=-1)
