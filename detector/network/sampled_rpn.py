"""The RPN head at the sampled anchors alone: the numbers of the whole head, and a fraction of its gradient's cost.

The loss of the RPN looks at `StepShape.anchor_samples` anchors an image, but the gradient of a convolution over the
whole pyramid costs twice its forward pass, wherever it is zero, too. So the pass over all cells, which proposals and
sampling need, carries no gradient, and the loss is computed once more from the 3 × 3 neighbourhoods of the sampled
cells (docs/decisions/0011).

Shapes: B images, h × w cells of a level, C channels, A anchor slots per cell, N anchors, S sampled anchors.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from detector.boxes import Tensor
from detector.config import StepShape
from detector.network.anchors import anchor_count

KERNEL = 3  # of the hidden convolution, with zero padding of one cell
LARGEST_SHARE = 0.5  # of the cells that samples may touch; forward and gradient at them cost three passes, not two


def worth_sampling(shape: StepShape) -> bool:
    """Whether the samples are so few that it pays to compute their outputs again."""
    cells = anchor_count(shape.canvas, 1)
    return shape.anchor_samples <= LARGEST_SHARE * cells


def outputs_at(rpn: keras.Model, levels: Sequence[Tensor], chosen: Tensor, slots: int) -> tuple[Tensor, Tensor]:
    """Logits [B, S] and deltas [B, S, 4], float32, of the anchors `chosen` [B, S] (indices of `anchors.grid_anchors`).

    `levels` are [B, h, w, C]; `slots` is A. Gradients reach the levels and the head's variables.
    """
    hidden_layer, logits_layer, deltas_layer = (rpn.get_layer(f"rpn_{name}") for name in ("conv", "logits", "deltas"))
    cells, slot = ops.floor_divide(chosen, slots), ops.mod(chosen, slots)
    patches = _neighbourhoods(levels, cells)  # [B, S, 9·C]
    hidden = ops.relu(_dense(hidden_layer, patches))  # [B, S, C]
    logits = _dense(logits_layer, hidden)  # [B, S, A]
    deltas = _dense(deltas_layer, hidden)  # [B, S, 4·A]
    deltas = ops.reshape(deltas, (*deltas.shape[:2], slots, 4))
    return (
        ops.cast(ops.take_along_axis(logits, slot[..., None], axis=2)[..., 0], "float32"),
        ops.cast(ops.take_along_axis(deltas, slot[..., None, None], axis=2)[:, :, 0], "float32"),
    )


def _dense(layer: keras.layers.Conv2D, features: Tensor) -> Tensor:
    """A convolution on what its kernel sees, `features` [B, S, kernel cells · channels]: [B, S, filters]."""
    batch, count, width = features.shape
    kernel, bias = (ops.cast(variable.value, layer.compute_dtype) for variable in (layer.kernel, layer.bias))
    flat = ops.reshape(ops.cast(features, layer.compute_dtype), (batch * count, width))
    outputs = ops.matmul(flat, ops.reshape(kernel, (width, -1))) + bias
    return ops.reshape(outputs, (batch, count, -1))


def _neighbourhoods(levels: Sequence[Tensor], cells: Tensor) -> Tensor:
    """The 3 × 3 cells around each of `cells` [B, S] (counted over all levels), zero beyond the border: [B, S, 9·C]."""
    batch, channels = levels[0].shape[0], levels[0].shape[-1]
    padded = [ops.pad(level, ((0, 0), (1, 1), (1, 1), (0, 0))) for level in levels]
    joined = ops.concatenate([ops.reshape(level, (batch, -1, channels)) for level in padded], axis=1)
    rows = _rows([(level.shape[1], level.shape[2]) for level in levels])  # [cells, 9]
    image = np.arange(batch, dtype=np.int32)[:, None, None] * joined.shape[1]
    position = ops.take(rows, cells, axis=0) + image  # [B, S, 9]
    flat = ops.reshape(joined, (-1, channels))
    return ops.reshape(ops.take(flat, position, axis=0), (batch, cells.shape[1], KERNEL * KERNEL * channels))


def _rows(sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    """Rows, in the joined padded levels, of each cell's neighbours in the order of a kernel: int32 [cells, 9]."""
    rows, start = [], 0
    for high, wide in sizes:
        y, x, dy, dx = np.meshgrid(*(np.arange(n) for n in (high, wide, KERNEL, KERNEL)), indexing="ij")
        rows.append((start + (y + dy) * (wide + 2) + x + dx).reshape(high * wide, KERNEL * KERNEL))
        start += (high + 2) * (wide + 2)
    return np.concatenate(rows).astype(np.int32)
