"""RoIAlign on a feature pyramid, in two formulations that agree: which is faster depends on the device and the shapes.

Shapes: B images, R RoIs, C channels, four levels P2 to P5 [B, h, w, C], S = `size` bins a side, T = 2·S samples a side.
Boxes are `yxyx` float32 canvas pixels; an empty box samples one point, a box that is not finite yields zeros.
The rule is Detectron2's aligned RoIAlign with 2 × 2 samples a bin: coordinates move by half a pixel, a sample more than
one pixel outside the map counts as 0, one nearer is clamped to the border. Each RoI reads the one level that fits its
size. Without `aligned` the rule is torchvision's: coordinates stay, and a box has at least the sides of a cell.
Arithmetic and accumulation are float32 whatever the features are. No gradient flows to the boxes.
"""

from collections.abc import Sequence

import numpy as np
from keras import ops

from detector.backend import BACKEND, device_name
from detector.boxes import Tensor, area
from detector.config import STRIDES_PX

ROI_STRIDES_PX = STRIDES_PX[:4]  # P2 to P5
SAMPLES = 2  # a bin, along each axis

# Cells of P2 up to which the separable formulation was the faster, forward and backward; its cost and memory grow with
# the cells, the other's do not (docs/decisions/0008).
LARGEST_SEPARABLE_CELLS = 72 * 72
LARGEST_SEPARABLE_CELLS_ON_JAX_CPU = 40 * 40

# A box of 224² px belongs to P4, one of half the side to P3: floor(4 + log2(side / 224)) clamped to 2..5, as thresholds
# of the area, which are exact where a logarithm rounds.
LEVEL_AREAS_PX2 = (112.0**2, 224.0**2, 448.0**2)


def assign_levels(boxes: Tensor) -> Tensor:
    """Index of the level that each of `boxes` [..., 4] reads, int32 [...]: 0 for P2 to 3 for P5."""
    areas = area(boxes)
    return sum(ops.cast(areas >= threshold, "int32") for threshold in LEVEL_AREAS_PX2)


def align(levels: Sequence[Tensor], boxes: Tensor, *, size: int = 7, aligned: bool = True) -> Tensor:
    """Features [B, R, size, size, C] of `boxes` [B, R, 4] by the formulation that is faster for levels of this size."""
    height, width = levels[0].shape[1:3]
    formulation = separable_align if is_separable_faster(height * width) else gather_align
    return formulation(levels, boxes, size=size, aligned=aligned)


def is_separable_faster(cells: int) -> bool:
    """Whether `align` takes the separable formulation on this backend and device, where P2 has so many cells."""
    on_jax_cpu = BACKEND == "jax" and device_name() == "CPU"
    return cells <= (LARGEST_SEPARABLE_CELLS_ON_JAX_CPU if on_jax_cpu else LARGEST_SEPARABLE_CELLS)


def gather_align(levels: Sequence[Tensor], boxes: Tensor, *, size: int = 7, aligned: bool = True) -> Tensor:
    """Features [B, R, size, size, C] of `boxes` [B, R, 4], in the type of the levels, read sample by sample.

    Touches only the level of each RoI; the gradient is a scatter-add.
    """
    boxes = ops.stop_gradient(boxes)
    shapes = np.array([level.shape[1:3] for level in levels], np.int32)  # [levels, (h, w)]
    starts = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))]).astype(np.int32)
    channels = levels[0].shape[-1]
    maps = [ops.reshape(ops.cast(one, "float32"), (one.shape[0], -1, channels)) for one in levels]  # each [B, h·w, C]
    flat = ops.reshape(ops.concatenate(maps, axis=1), (-1, channels))  # [B · Σ h·w, C]

    level = assign_levels(boxes)  # [B, R]
    boxes = boxes if aligned else _unaligned(boxes, level)
    scale = 1.0 / ops.take(np.array(ROI_STRIDES_PX, np.float32), level)
    high, wide = ops.take(shapes[:, 0], level), ops.take(shapes[:, 1], level)
    image = ops.arange(boxes.shape[0], dtype="int32")[:, None] * int(starts[-1])
    first = (image + ops.take(starts[:-1], level))[..., None, None]  # [B, R, 1, 1]: row of the level's first pixel
    rows = _corners(_samples(boxes[..., 0] * scale, boxes[..., 2] * scale, size), high)
    columns = _corners(_samples(boxes[..., 1] * scale, boxes[..., 3] * scale, size), wide)

    total = 0.0
    for y, y_weight in rows:
        for x, x_weight in columns:
            position = first + y[..., :, None] * wide[..., None, None] + x[..., None, :]  # [B, R, T, T]
            weight = y_weight[..., :, None] * x_weight[..., None, :]
            total = total + ops.take(flat, position, axis=0) * weight[..., None]
    shape = (boxes.shape[0], boxes.shape[1], size, SAMPLES, size, SAMPLES, channels)
    return ops.cast(ops.mean(ops.reshape(total, shape), axis=(3, 5)), levels[0].dtype)


def separable_align(levels: Sequence[Tensor], boxes: Tensor, *, size: int = 7, aligned: bool = True) -> Tensor:
    """Features [B, R, size, size, C] of `boxes` [B, R, 4], in the type of the levels, by two matrix products a level.

    Every RoI passes through every level, with weight 0 but for its own; forward and gradient have no scatter.
    """
    boxes = ops.stop_gradient(boxes)
    own_level = assign_levels(boxes)
    boxes = boxes if aligned else _unaligned(boxes, own_level)
    total = 0.0
    for index, (features, stride_px) in enumerate(zip(levels, ROI_STRIDES_PX, strict=True)):
        scaled = boxes / stride_px
        mask = ops.cast(own_level == index, "float32")[..., None, None]
        y = _interpolation(scaled[..., 0], scaled[..., 2], features.shape[1], size) * mask  # [B, R, S, h]
        x = _interpolation(scaled[..., 1], scaled[..., 3], features.shape[2], size)  # [B, R, S, w]
        total = total + _resample(ops.cast(features, "float32"), y, x)
    return ops.cast(total, levels[0].dtype)


def _unaligned(boxes: Tensor, level: Tensor) -> Tensor:
    """Boxes [B, R, 4] that the aligned rule reads as the other rule does these, each on its own level."""
    stride_px = ops.take(np.array(ROI_STRIDES_PX, np.float32), level)[..., None]
    start, end = boxes[..., :2], boxes[..., 2:]
    end = start + ops.maximum(end - start, stride_px)
    return ops.concatenate([start, end], axis=-1) + stride_px / 2


def _samples(start: Tensor, end: Tensor, size: int) -> Tensor:
    """Coordinates [B, R, T] of the samples of a side, in pixels of its level; -2, outside, where not finite."""
    share = (np.arange(size * SAMPLES, dtype=np.float32) + 0.5) / (size * SAMPLES)
    samples = start[..., None] - 0.5 + (end - start)[..., None] * share
    return ops.where(ops.isfinite(samples), samples, -2.0)


def _corners(samples: Tensor, length: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The pixel before and the pixel after each of `samples` [B, R, T]: index int32 and weight, both [B, R, T]."""
    last = ops.cast(length, "float32")[..., None] - 1.0
    inside = ops.logical_and(samples >= -1.0, samples <= last + 1.0)
    clamped = ops.clip(samples, 0.0, last)
    low = ops.floor(clamped)
    high = ops.minimum(low + 1.0, last)
    share = clamped - low
    weights = ops.where(inside, 1.0 - share, 0.0), ops.where(inside, share, 0.0)
    return (ops.cast(low, "int32"), weights[0]), (ops.cast(high, "int32"), weights[1])


def _interpolation(start: Tensor, end: Tensor, length: int, size: int) -> Tensor:
    """Weights [B, R, S, length] of every pixel of an axis in every bin: triangles around the samples, averaged."""
    samples = _samples(start, end, size)[..., None]  # [B, R, T, 1]
    inside = ops.logical_and(samples >= -1.0, samples <= float(length))
    distance = ops.abs(ops.clip(samples, 0.0, length - 1.0) - np.arange(length, dtype=np.float32))
    weights = ops.where(inside, ops.maximum(1.0 - distance, 0.0), 0.0)  # [B, R, T, length]
    shape = (start.shape[0], start.shape[1], size, SAMPLES, length)
    return ops.mean(ops.reshape(weights, shape), axis=3)


def _resample(features: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """`features` [B, h, w, C] weighted by `y` [B, R, S, h] and `x` [B, R, S, w]: [B, R, S, S, C]."""
    images, high, wide, channels = features.shape
    rois, size = y.shape[1:3]
    rows = ops.matmul(
        ops.reshape(y, (images, rois * size, high)), ops.reshape(features, (images, high, wide * channels))
    )
    rows = ops.reshape(rows, (images, rois, size, wide, channels))
    return ops.matmul(x[:, :, None], rows)  # [B, R, 1, S, w] @ [B, R, S, w, C]
