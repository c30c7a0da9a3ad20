import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from detector.boxes import LARGEST_LOG_SCALE, ROI_WEIGHTS, RPN_WEIGHTS, area, clip, decode, encode, pairwise_iou

coordinates = st.floats(-200, 1400, width=32)
sides = st.floats(1, 900, width=32)


def boxes_of(count_max: int = 6) -> st.SearchStrategy[np.ndarray]:
    box = st.tuples(coordinates, coordinates, sides, sides).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
    return st.lists(box, min_size=1, max_size=count_max).map(lambda rows: np.array(rows, np.float32))


def random_boxes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Boxes of every kind: ordinary, tiny, empty, inverted, all zeros, and equal ones."""
    start = rng.uniform(-50, 150, (*shape, 2))
    side = rng.choice([0.0, 1e-4, 1.0, 60.0, 200.0, 300.0, -5.0], (*shape, 2)) * rng.uniform(0.5, 1.5, (*shape, 2))
    boxes = np.concatenate([start, start + side], axis=-1).astype(np.float32)
    boxes[rng.random(shape) < 0.1] = 0
    boxes[rng.random(shape) < 0.1] = (10, 20, 50, 90)
    return boxes


def reference_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    table = np.zeros((len(first), len(second)))
    for n, a in enumerate(first.astype(np.float64)):
        for m, b in enumerate(second.astype(np.float64)):
            height, width = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            if height > 0 and width > 0:
                shared = height * width
                table[n, m] = shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)
    return table


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param((0, 0, 10, 10), (0, 0, 10, 10), 1.0, id="equal"),
        pytest.param((0, 0, 10, 10), (0, 5, 10, 15), 50 / (100 + 100 - 50), id="half shifted: 10 x 5 shared"),
        pytest.param((0, 0, 10, 20), (5, 5, 10, 15), 50 / (200 + 50 - 50), id="inside: 5 x 10 of 10 x 20"),
        pytest.param((0, 0, 10, 10), (10, 0, 20, 10), 0.0, id="touching"),
        pytest.param((0, 0, 10, 10), (30, 30, 40, 40), 0.0, id="apart"),
        pytest.param((0, 0, 0, 0), (0, 0, 0, 0), 0.0, id="two padded rows"),
        pytest.param((5, 5, 5, 9), (0, 0, 10, 10), 0.0, id="a line within a box"),
        pytest.param((9, 9, 1, 1), (0, 0, 10, 10), 0.0, id="inverted"),
    ],
)
def test_iou_of_two_boxes_is_shared_over_joint_area(first: tuple, second: tuple, expected: float) -> None:
    iou = pairwise_iou(np.array([first], np.float32), np.array([second], np.float32))
    assert float(iou[0, 0]) == pytest.approx(expected, abs=1e-6)


def test_iou_agrees_with_the_slow_reference_on_thousands_of_pairs() -> None:
    rng = np.random.default_rng(1)
    first, second = random_boxes(rng, 4, 60), random_boxes(rng, 4, 45)
    iou = ops.convert_to_numpy(pairwise_iou(first, second))
    for image in range(4):
        np.testing.assert_allclose(iou[image], reference_iou(first[image], second[image]), atol=2e-4)
    assert (iou > 0).sum() > 500
    assert (iou == 0).sum() > 1000


@given(boxes_of(), boxes_of())
def test_iou_is_symmetric_and_lies_between_0_and_1(first: np.ndarray, second: np.ndarray) -> None:
    iou = ops.convert_to_numpy(pairwise_iou(first, second))
    assert np.array_equal(iou, ops.convert_to_numpy(pairwise_iou(second, first)).T)
    assert iou.min() >= 0
    assert iou.max() <= 1 + 1e-6
    np.testing.assert_allclose(np.diag(ops.convert_to_numpy(pairwise_iou(first, first))), 1, atol=1e-6)


def test_area_of_an_empty_or_inverted_box_is_0() -> None:
    boxes = np.array([[0, 0, 3, 4], [0, 0, 0, 4], [5, 5, 1, 1], [5, 1, 1, 5]], np.float32)
    assert ops.convert_to_numpy(area(boxes)).tolist() == [12, 0, 0, 0]


def test_deltas_are_shifts_in_anchor_sides_and_logarithms_of_the_growth() -> None:
    anchor = np.array([[0, 0, 10, 20]], np.float32)  # 10 high, 20 wide, centre (5, 10)
    box = np.array([[5, 5, 25, 15]], np.float32)  # 20 high, 10 wide, centre (15, 10)
    deltas = ops.convert_to_numpy(encode(box, anchor, ROI_WEIGHTS))[0]
    expected = [10 * (15 - 5) / 10, 10 * (10 - 10) / 20, 5 * math.log(20 / 10), 5 * math.log(10 / 20)]
    np.testing.assert_allclose(deltas, expected, rtol=1e-6)


@pytest.mark.parametrize("weights", [RPN_WEIGHTS, ROI_WEIGHTS])
@given(boxes_of(4), boxes_of(4))
def test_decode_undoes_encode(weights: tuple, boxes: np.ndarray, anchors: np.ndarray) -> None:
    count = min(len(boxes), len(anchors))
    boxes, anchors = boxes[:count], anchors[:count]
    growth = (boxes[:, 2:] - boxes[:, :2]) / (anchors[:, 2:] - anchors[:, :2])
    reachable = (growth < 60).all(axis=1)  # below the clamp of 1000 / 16 = 62.5
    decoded = ops.convert_to_numpy(decode(encode(boxes, anchors, weights), anchors, weights))
    np.testing.assert_allclose(decoded[reachable], boxes[reachable], rtol=1e-4, atol=0.02)


def test_decode_agrees_with_the_slow_reference_on_thousands_of_deltas() -> None:
    rng = np.random.default_rng(2)
    anchors = random_boxes(rng, 3000)
    deltas = rng.normal(0, 3, (3000, 4)).astype(np.float32)
    expected = []
    for (dy, dx, dh, dw), (y1, x1, y2, x2) in zip(deltas.astype(float), anchors.astype(float), strict=True):
        high, wide = max(y2 - y1, 0), max(x2 - x1, 0)
        y, x = (y1 + y2) / 2 + dy / 10 * high, (x1 + x2) / 2 + dx / 10 * wide
        high, wide = high * math.exp(min(dh / 5, LARGEST_LOG_SCALE)), wide * math.exp(min(dw / 5, LARGEST_LOG_SCALE))
        expected.append((y - high / 2, x - wide / 2, y + high / 2, x + wide / 2))
    decoded = ops.convert_to_numpy(decode(deltas, anchors, ROI_WEIGHTS))
    np.testing.assert_allclose(decoded, expected, rtol=1e-4, atol=1e-2)


def test_growth_is_clamped_from_above_only() -> None:
    anchor = np.array([[0, 0, 16, 16]], np.float32)
    huge, tiny = np.array([[0, 0, 50, 50]], np.float32), np.array([[0, 0, -50, -50]], np.float32)
    grown = ops.convert_to_numpy(decode(huge, anchor, RPN_WEIGHTS))[0]
    assert grown[2] - grown[0] == pytest.approx(1000, rel=1e-4)
    shrunk = ops.convert_to_numpy(decode(tiny, anchor, RPN_WEIGHTS))[0]
    assert shrunk[2] - shrunk[0] == pytest.approx(0, abs=1e-6)


def test_degenerate_boxes_and_anchors_encode_and_decode_to_finite_numbers() -> None:
    rng = np.random.default_rng(3)
    boxes, anchors = random_boxes(rng, 2000), random_boxes(rng, 2000)
    deltas = ops.convert_to_numpy(encode(boxes, anchors, RPN_WEIGHTS))
    assert np.isfinite(deltas).all()
    assert np.isfinite(ops.convert_to_numpy(decode(deltas, anchors, RPN_WEIGHTS))).all()
    padded = np.zeros((1, 4), np.float32)
    assert ops.convert_to_numpy(decode(np.ones((1, 4), np.float32), padded, RPN_WEIGHTS)).tolist() == [[0, 0, 0, 0]]


def test_clip_cuts_each_image_at_its_own_limits() -> None:
    boxes = np.array([[[-5, -6, 70, 80]], [[10, 20, 30, 40]]], np.float32)
    limits = np.array([[50, 60], [25, 100]], np.float32)
    clipped = ops.convert_to_numpy(clip(boxes, limits[:, None, 0], limits[:, None, 1]))
    assert clipped.tolist() == [[[0, 0, 50, 60]], [[10, 20, 25, 40]]]
