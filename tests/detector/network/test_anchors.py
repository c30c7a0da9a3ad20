import math
from dataclasses import replace

import numpy as np
import pytest
from keras import ops

from detector.config import Anchors, Canvas, ConfigError
from detector.geometry import KERAS
from detector.network.anchors import anchor_count, cell_anchors, grid_anchors, grid_mask, level_sizes


def sized(*first_level: float) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(size * 2**level for size in first_level) for level in range(5))


def test_cell_anchors_go_through_sizes_first_and_ratios_within_a_size() -> None:
    cells, mask = cell_anchors(Anchors(sizes_px=sized(8, 16), ratios=(0.25, 1.0, 4.0)), 8)
    sides = cells[0, :, 2:] - cells[0, :, :2]
    # height = size × √ratio, width = size / √ratio
    assert sides.tolist() == [[4, 16], [8, 8], [16, 4], [8, 32], [16, 16], [32, 8], [0, 0], [0, 0]]
    assert mask[0].tolist() == [True] * 6 + [False] * 2
    assert cells[0, 0].tolist() == [-2, -8, 2, 8]
    assert cells.dtype == np.float32
    np.testing.assert_allclose(cells[4], cells[0] * 16)


def test_anchors_keep_their_area_and_are_not_rounded() -> None:
    cells, _ = cell_anchors(Anchors(sizes_px=sized(7.3), ratios=(0.31, 1.7)), 2)
    sides = cells[..., 2:] - cells[..., :2]
    sizes = 7.3 * 2.0 ** np.arange(5)
    np.testing.assert_allclose(sides.prod(axis=-1), np.broadcast_to(sizes[:, None] ** 2, (5, 2)), rtol=1e-5)
    np.testing.assert_allclose(sides[..., 0] / sides[..., 1], np.broadcast_to([0.31, 1.7], (5, 2)), rtol=1e-5)


def test_more_anchors_than_slots_is_an_error_that_names_both() -> None:
    with pytest.raises(ConfigError, match=r"the 2 slots .* is 3"):
        cell_anchors(Anchors(), 2)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        pytest.param(64, 128, ((16, 32), (8, 16), (4, 8), (2, 4), (1, 2)), id="multiple of 64"),
        pytest.param(96, 32, ((24, 8), (12, 4), (6, 2), (3, 1), (2, 1)), id="P6 is half of P5, rounded up"),
    ],
)
def test_level_sizes_divide_the_canvas_by_the_strides(height: int, width: int, expected: tuple) -> None:
    canvas = Canvas(height_px=height, width_px=width)
    assert level_sizes(canvas) == expected
    assert anchor_count(canvas, 3) == 3 * sum(high * wide for high, wide in expected)


def test_grid_anchors_agree_with_four_nested_loops() -> None:
    canvas = Canvas(height_px=96, width_px=160)
    cells, mask = cell_anchors(Anchors(sizes_px=sized(11, 17), ratios=(0.5, 2.0)), 6)
    boxes, valid = [], []
    for level, stride in enumerate((4, 8, 16, 32, 64)):
        for y in range(math.ceil(96 / stride)):
            for x in range(math.ceil(160 / stride)):
                for slot in range(6):
                    centre = np.array([y + 0.5, x + 0.5, y + 0.5, x + 0.5]) * stride
                    boxes.append(cells[level, slot] + centre)
                    valid.append(mask[level, slot])
    np.testing.assert_allclose(ops.convert_to_numpy(grid_anchors(cells, canvas)), boxes, atol=1e-4)
    assert ops.convert_to_numpy(grid_mask(mask, canvas)).tolist() == valid
    assert len(boxes) == anchor_count(canvas, 6)


def test_grid_order_is_that_of_flattened_network_outputs() -> None:
    canvas = Canvas(height_px=64, width_px=96)
    cells, _ = cell_anchors(Anchors(sizes_px=sized(8), ratios=(1.0, 3.0)), 2)
    outputs = []  # [h, w, A], each entry holding the height of the anchor that it speaks of, and its centre
    for level, (high, wide) in enumerate(level_sizes(canvas)):
        y, x, slot = np.meshgrid(np.arange(high), np.arange(wide), np.arange(2), indexing="ij")
        stride = 4 * 2**level
        outputs.append(np.stack([cells[level, slot, 2] * 2, (y + 0.5) * stride, (x + 0.5) * stride], -1))
    flat = np.concatenate([output.reshape(-1, 3) for output in outputs])
    anchors = ops.convert_to_numpy(grid_anchors(cells, canvas))
    found = np.stack(
        [anchors[:, 2] - anchors[:, 0], (anchors[:, 0] + anchors[:, 2]) / 2, (anchors[:, 1] + anchors[:, 3]) / 2], -1
    )
    np.testing.assert_allclose(found, flat, atol=1e-4)


def test_anchors_of_torchvision_have_whole_sides_and_begin_in_the_corner_of_the_map() -> None:
    geometry = replace(KERAS, anchor_offset=0.0, rounded_anchors=True)
    cells, mask = cell_anchors(Anchors(sizes_px=sized(32.0), ratios=(0.5,)), 2, geometry)
    # half a height is 32 · √.5 / 2 = 11.31, half a width 32 / √.5 / 2 = 22.63; half a stride goes off for the corner
    np.testing.assert_array_equal(cells[0, 0], [-11 - 2, -23 - 2, 11 - 2, 23 - 2])
    np.testing.assert_array_equal(cells[4, 1], [0, 0, 0, 0])
    canvas = Canvas(height_px=64, width_px=64)
    first = ops.convert_to_numpy(grid_anchors(cells, canvas))[0]
    np.testing.assert_array_equal(first, [-11, -23, 11, 23])
    assert mask.sum() == 5
