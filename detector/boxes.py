"""Boxes as pure functions: area, overlap, the (dy, dx, dh, dw) code, clipping.

Shapes: `...` any leading axes (B images, R RoIs), N and M numbers of boxes. Boxes are `yxyx`, float32, absolute
pixels of the canvas. A box with y2 <= y1 or x2 <= x1 is empty: its area and all its overlaps are 0; padded rows and
masked anchors are empty boxes. Everything is `keras.ops`, so it runs inside the compiled step on either backend.
"""

import math
from typing import Any

from keras import ops

Tensor = Any  # a tensor of the Keras backend, traced or not, or a NumPy array
Weights = tuple[float, float, float, float]  # of dy, dx, dh, dw

RPN_WEIGHTS: Weights = (1.0, 1.0, 1.0, 1.0)
ROI_WEIGHTS: Weights = (10.0, 10.0, 5.0, 5.0)

# A side may grow at most from 16 to 1000 px in one step. Only the upper side is clamped (as Detectron2): it keeps
# exp() finite, while a very negative value merely yields an empty box.
LARGEST_LOG_SCALE = math.log(1000.0 / 16.0)

# Floor of a side before division and logarithm, so that empty boxes and masked anchors encode to finite numbers.
SMALLEST_SIDE_PX = 1e-3


def area(boxes: Tensor) -> Tensor:
    """Areas in px² of `boxes` [..., 4] as [...]; 0 for empty boxes."""
    heights = ops.maximum(boxes[..., 2] - boxes[..., 0], 0.0)
    widths = ops.maximum(boxes[..., 3] - boxes[..., 1], 0.0)
    return heights * widths


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Overlap [..., N, M], in [0, 1], of every box of `first` [..., N, 4] with every box of `second` [..., M, 4].

    Empty boxes overlap nothing, not even themselves: their entries are 0, never NaN.
    """
    heights = _pairwise_overlap(first, second, low=0, high=2)  # [..., N, M]
    intersection = heights * _pairwise_overlap(first, second, low=1, high=3)
    union = area(first)[..., :, None] + area(second)[..., None, :] - intersection
    return ops.where(intersection > 0, intersection / ops.where(intersection > 0, union, 1.0), 0.0)


def _pairwise_overlap(first: Tensor, second: Tensor, *, low: int, high: int) -> Tensor:
    """Length in px [..., N, M] that each pair shares along one axis."""
    starts = ops.maximum(first[..., :, None, low], second[..., None, :, low])
    ends = ops.minimum(first[..., :, None, high], second[..., None, :, high])
    return ops.maximum(ends - starts, 0.0)


def encode(boxes: Tensor, anchors: Tensor, weights: Weights) -> Tensor:
    """Deltas (dy, dx, dh, dw) [..., 4] that `decode` turns back from `anchors` to `boxes`, both [..., 4].

    Sides are floored at a thousandth of a pixel, so that empty boxes and anchors give finite deltas.
    """
    height, width = _sides(boxes, floor_px=SMALLEST_SIDE_PX)
    anchor_height, anchor_width = _sides(anchors, floor_px=SMALLEST_SIDE_PX)
    centre_y, centre_x = _centres(boxes)
    anchor_y, anchor_x = _centres(anchors)
    weight_y, weight_x, weight_h, weight_w = weights
    return ops.stack(
        [
            weight_y * (centre_y - anchor_y) / anchor_height,
            weight_x * (centre_x - anchor_x) / anchor_width,
            weight_h * ops.log(height / anchor_height),
            weight_w * ops.log(width / anchor_width),
        ],
        axis=-1,
    )


def decode(deltas: Tensor, anchors: Tensor, weights: Weights) -> Tensor:
    """Boxes [..., 4] that `deltas` [..., 4] (dy, dx, dh, dw) describe relative to `anchors` [..., 4].

    Finite for every finite input; an empty anchor gives an empty box at its centre. Nothing is clipped to the canvas.
    """
    anchor_height, anchor_width = _sides(anchors, floor_px=0.0)
    anchor_y, anchor_x = _centres(anchors)
    weight_y, weight_x, weight_h, weight_w = weights
    centre_y = anchor_y + deltas[..., 0] / weight_y * anchor_height
    centre_x = anchor_x + deltas[..., 1] / weight_x * anchor_width
    half_height = 0.5 * anchor_height * ops.exp(ops.minimum(deltas[..., 2] / weight_h, LARGEST_LOG_SCALE))
    half_width = 0.5 * anchor_width * ops.exp(ops.minimum(deltas[..., 3] / weight_w, LARGEST_LOG_SCALE))
    return ops.stack(
        [centre_y - half_height, centre_x - half_width, centre_y + half_height, centre_x + half_width], axis=-1
    )


def _sides(boxes: Tensor, *, floor_px: float) -> tuple[Tensor, Tensor]:
    heights = ops.maximum(boxes[..., 2] - boxes[..., 0], floor_px)
    return heights, ops.maximum(boxes[..., 3] - boxes[..., 1], floor_px)


def _centres(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return 0.5 * (boxes[..., 0] + boxes[..., 2]), 0.5 * (boxes[..., 1] + boxes[..., 3])


def clip(boxes: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """`boxes` [..., 4] cut to [0, height] × [0, width] px; the limits broadcast against [...]."""
    return ops.stack(
        [
            ops.clip(boxes[..., 0], 0.0, height),
            ops.clip(boxes[..., 1], 0.0, width),
            ops.clip(boxes[..., 2], 0.0, height),
            ops.clip(boxes[..., 3], 0.0, width),
        ],
        axis=-1,
    )
