"""Anchors: the shapes of a cell on the host, the grid of all anchors inside the step.

Shapes: L levels (P2 to P6), A anchor slots per cell, h and w cells of a level, N = Σ h·w·A anchors. Anchors are boxes:
`yxyx`, float32, canvas pixels, not rounded, not clipped. A slot that a trial does not use is an empty box, and False in
the mask. Order everywhere: level, y, x, slot, which is the order of RPN outputs [B, h, w, A] flattened and joined.
"""

import math

import numpy as np
from keras import ops

from detector.boxes import Tensor
from detector.config import STRIDES_PX, Anchors, Canvas, require
from detector.geometry import KERAS, Geometry

CENTRE = 0.5  # of a cell, where `grid_anchors` puts anchors


def cell_anchors(anchors: Anchors, slots: int, geometry: Geometry = KERAS) -> tuple[np.ndarray, np.ndarray]:
    """Anchors of one cell [L, A, 4] around its centre, float32, and which slots hold one [L, A], bool.

    Sizes vary slowest and ratios (height / width) fastest, as in Detectron2. Where the geometry says so they lie off
    the centre, or their sides are rounded. Raises `ConfigError` if they need more than `slots`.
    """
    require(
        anchors.per_cell <= slots,
        f"anchors per cell must not exceed the {slots} slots that the step was compiled for, but sizes × ratios is "
        f"{anchors.per_cell}; compile the step with more slots or use fewer sizes or ratios",
    )
    sizes = np.asarray(anchors.sizes_px, np.float64)[:, :, None]  # [L, sizes, 1]
    roots = np.sqrt(np.asarray(anchors.ratios, np.float64))  # [ratios]
    half_heights, half_widths = sizes * roots / 2, sizes / roots / 2  # [L, sizes, ratios]
    boxes = np.stack([-half_heights, -half_widths, half_heights, half_widths], axis=-1)
    if geometry.rounded_anchors:
        boxes = np.round(boxes)
    boxes += (geometry.anchor_offset - CENTRE) * np.reshape(STRIDES_PX, (-1, 1, 1, 1))

    levels = len(STRIDES_PX)
    cells = np.zeros((levels, slots, 4), np.float32)
    cells[:, : anchors.per_cell] = boxes.reshape(levels, anchors.per_cell, 4)
    mask = np.zeros((levels, slots), bool)
    mask[:, : anchors.per_cell] = True
    return cells, mask


def level_sizes(canvas: Canvas) -> tuple[tuple[int, int], ...]:
    """Cells (high, wide) of P2 to P6; P6 rounds up, because the canvas is a multiple of P5's stride only."""
    return tuple((math.ceil(canvas.height_px / px), math.ceil(canvas.width_px / px)) for px in STRIDES_PX)


def anchor_count(canvas: Canvas, slots: int) -> int:
    """Number N of anchors on the canvas, unused slots included."""
    return sum(high * wide for high, wide in level_sizes(canvas)) * slots


def grid_anchors(cells: Tensor, canvas: Canvas) -> Tensor:
    """All anchors [N, 4] of the canvas: `cells` [L, A, 4] moved to the centre of every cell of its level."""
    levels = []
    for level, (stride_px, (high, wide)) in enumerate(zip(STRIDES_PX, level_sizes(canvas), strict=True)):
        rows, columns = ((np.arange(count) + CENTRE) * stride_px for count in (high, wide))
        y, x = np.meshgrid(rows, columns, indexing="ij")
        centres = np.stack([y, x, y, x], axis=-1).reshape(high * wide, 1, 4).astype(np.float32)
        levels.append(ops.reshape(ops.convert_to_tensor(centres) + cells[level], (-1, 4)))  # [h·w·A, 4]
    return ops.concatenate(levels, axis=0)


def grid_mask(mask: Tensor, canvas: Canvas) -> Tensor:
    """Which of all anchors are in use, bool [N], from the slots in use [L, A]."""
    levels = [ops.tile(mask[level], high * wide) for level, (high, wide) in enumerate(level_sizes(canvas))]
    return ops.concatenate(levels, axis=0)
