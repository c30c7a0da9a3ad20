import math
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from detector.network import roi_align
from detector.network.roi_align import assign_levels, gather_align, separable_align

FORMULATIONS = [pytest.param(gather_align, id="gather"), pytest.param(separable_align, id="separable")]
Align = Callable[..., tf.Tensor]


def pyramid(rng: np.random.Generator, height: int, width: int, channels: int = 3) -> list[np.ndarray]:
    sizes = [(math.ceil(height / stride), math.ceil(width / stride)) for stride in (4, 8, 16, 32)]
    return [rng.normal(size=(2, high, wide, channels)).astype(np.float32) for high, wide in sizes]


def rois(rng: np.random.Generator, count: int) -> np.ndarray:
    """Of every size and level; also empty ones, all zeros, and some far outside the canvas."""
    start = rng.uniform(-40, 500, (2, count, 2))
    side = np.exp(rng.uniform(0, math.log(700), (2, count, 2)))
    boxes = np.concatenate([start, start + side], axis=-1)
    boxes[:, 0] = 0
    boxes[:, 1, 2:] = boxes[:, 1, :2]
    boxes[:, 2] = (900, 900, 1000, 1000)
    boxes[:, 3] = (0, 0, 512, 640)
    return boxes.astype(np.float32)


def interpolated(features: np.ndarray, y: float, x: float) -> np.ndarray:
    high, wide, channels = features.shape
    if y < -1 or y > high or x < -1 or x > wide:
        return np.zeros(channels)
    y, x = min(max(y, 0.0), high - 1.0), min(max(x, 0.0), wide - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, high - 1), min(left + 1, wide - 1)
    return (features[top, left] * (1 - (y - top)) + features[bottom, left] * (y - top)) * (1 - (x - left)) + (
        features[top, right] * (1 - (y - top)) + features[bottom, right] * (y - top)
    ) * (x - left)


def reference(levels: list[np.ndarray], boxes: np.ndarray, size: int, *, aligned: bool = True) -> np.ndarray:
    images, count = boxes.shape[:2]
    result = np.zeros((images, count, size, size, levels[0].shape[-1]))
    for image, roi in np.ndindex(images, count):
        y1, x1, y2, x2 = boxes[image, roi].astype(float)
        area = max(y2 - y1, 0) * max(x2 - x1, 0)
        level = min(max(math.floor(4 + math.log2(math.sqrt(area) / 224 + 1e-8)), 2), 5)
        stride = 2**level
        top, left, high, wide = y1 / stride, x1 / stride, (y2 - y1) / stride, (x2 - x1) / stride
        if aligned:
            top, left = top - 0.5, left - 0.5
        else:
            high, wide = max(high, 1), max(wide, 1)
        for row, column, sub_row, sub_column in np.ndindex(size, size, 2, 2):
            y = top + (row + (sub_row + 0.5) / 2) * high / size
            x = left + (column + (sub_column + 0.5) / 2) * wide / size
            result[image, roi, row, column] += interpolated(levels[level - 2][image], y, x) / 4
    return result


@pytest.mark.parametrize(
    ("side", "level"),
    [(1, 0), (111.9, 0), (112, 1), (223.9, 1), (224, 2), (447.9, 2), (448, 3), (5000, 3), (0, 0), (-3, 0)],
)
def test_a_box_of_224_px_belongs_to_p4_and_half_of_it_to_p3(side: float, level: int) -> None:
    box = np.array([[10, 20, 10 + side, 20 + side]], np.float32)
    assert ops.convert_to_numpy(assign_levels(box)).tolist() == [level]


def test_levels_agree_with_the_formula_of_the_paper() -> None:
    rng = np.random.default_rng(14)
    boxes = rois(rng, 2000)
    sides = np.sqrt(np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1))
    expected = np.clip(np.floor(4 + np.log2(sides / 224 + 1e-8)), 2, 5) - 2
    found = ops.convert_to_numpy(assign_levels(boxes))
    assert np.array_equal(found, expected)
    assert set(found.ravel().tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("align", FORMULATIONS)
def test_a_linear_map_is_read_exactly_at_the_bin_centres(align: Align) -> None:
    y, x = np.meshgrid(np.arange(16), np.arange(16), indexing="ij")
    levels = [np.stack([y, x], -1)[None].astype(np.float32)] + [np.zeros((1, n, n, 2), np.float32) for n in (8, 4, 2)]
    found = ops.convert_to_numpy(align(levels, np.array([[[8, 16, 36, 44]]], np.float32), size=2))[0, 0]
    # 28 px are 7 cells of stride 4, two bins of 3.5; pixel centres lie at i + 0.5
    assert found[:, 0, 0].tolist() == pytest.approx([8 / 4 + 1.75 - 0.5, 8 / 4 + 5.25 - 0.5])
    assert found[0, :, 1].tolist() == pytest.approx([16 / 4 + 1.75 - 0.5, 16 / 4 + 5.25 - 0.5])


@pytest.mark.parametrize("align", FORMULATIONS)
@pytest.mark.parametrize(
    ("height", "width", "size", "aligned"), [(512, 640, 7, True), (96, 160, 3, True), (96, 160, 3, False)]
)
def test_alignment_agrees_with_the_slow_reference(
    align: Align, height: int, width: int, size: int, aligned: bool
) -> None:
    rng = np.random.default_rng(15)
    levels, boxes = pyramid(rng, height, width), rois(rng, 60)
    found = ops.convert_to_numpy(align(levels, boxes, size=size, aligned=aligned))
    assert found.shape == (2, 60, size, size, 3)
    np.testing.assert_allclose(found, reference(levels, boxes, size, aligned=aligned), atol=1e-4)
    assert (found[:, 2] == 0).all()  # far outside


def compiled_gradients(align: Align, levels: list[np.ndarray], boxes: np.ndarray, weights: np.ndarray) -> list:
    @tf.function
    def run(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            total = ops.sum(align(tensors, boxes) * weights)
        return tape.gradient(total, tensors)

    return [gradient.numpy() for gradient in run([tf.constant(level) for level in levels])]


def test_gradients_of_both_formulations_agree() -> None:
    rng = np.random.default_rng(16)
    levels, boxes = pyramid(rng, 256, 320), rois(rng, 80)
    weights = rng.normal(size=(2, 80, 7, 7, 3)).astype(np.float32)
    both = [compiled_gradients(align, levels, boxes, weights) for align in (gather_align, separable_align)]
    for first, second in zip(*both, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-4)
        assert np.abs(first).max() > 0.1


@pytest.mark.parametrize("align", FORMULATIONS)
def test_gradients_agree_with_finite_differences(align: Align) -> None:
    rng = np.random.default_rng(17)
    levels = pyramid(rng, 64, 96, channels=1)
    boxes = np.stack([rois(rng, 12)[0] / (1, 1, 4, 4)] * 2).astype(np.float32)
    boxes[:, 5:] = np.sort(rng.uniform(0, 64, (2, 7, 2, 2)), axis=2).reshape(2, 7, 4)
    weights = rng.normal(size=(2, 12, 7, 7, 1)).astype(np.float32)
    found = compiled_gradients(align, levels, boxes, weights)
    for level, place in [(0, (0, 3, 7, 0)), (0, (1, 8, 20, 0)), (0, (0, 0, 0, 0)), (0, (1, 15, 23, 0))]:
        totals = []
        for step in (0.5, -0.5):  # the map is linear, so any step will do
            moved = [one.copy() for one in levels]
            moved[level][place] += step
            totals.append(float(ops.sum(align(moved, boxes) * weights)))
        assert found[level][place] == pytest.approx(totals[0] - totals[1], abs=2e-3)


@pytest.mark.parametrize("align", FORMULATIONS)
def test_boxes_that_are_not_finite_give_zeros_and_gradients_of_zero(align: Align) -> None:
    rng = np.random.default_rng(18)
    levels = pyramid(rng, 64, 64)
    boxes = np.full((2, 3, 4), np.nan, np.float32)
    boxes[:, 1] = (0, 0, np.inf, 10)
    boxes[:, 2] = (-np.inf, -np.inf, np.inf, np.inf)
    found = ops.convert_to_numpy(align(levels, boxes))
    assert (found[:, [0, 2]] == 0).all()
    assert np.isfinite(found).all()
    weights = np.ones((2, 3, 7, 7, 3), np.float32)
    assert all(np.isfinite(gradient).all() for gradient in compiled_gradients(align, levels, boxes, weights))


@pytest.mark.parametrize("align", FORMULATIONS)
def test_bfloat16_features_are_accumulated_in_float32(align: Align) -> None:
    rng = np.random.default_rng(19)
    levels, boxes = [tf.cast(level, "bfloat16") for level in pyramid(rng, 256, 256)], rois(rng, 40)
    found = align(levels, boxes)
    assert found.dtype == tf.bfloat16
    exact = align([tf.cast(level, "float32") for level in levels], boxes)
    assert np.array_equal(found, tf.cast(exact, "bfloat16"))


def test_the_formulation_follows_the_size_of_the_finest_level(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr(roi_align, "separable_align", lambda *_, **__: taken.append("separable"))
    monkeypatch.setattr(roi_align, "gather_align", lambda *_, **__: taken.append("gather"))
    for side in (72, 73):
        roi_align.align([np.zeros((1, side, 72, 4), np.float32)], np.zeros((1, 1, 4), np.float32))
    assert taken == ["separable", "gather"]
