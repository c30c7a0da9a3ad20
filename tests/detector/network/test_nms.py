import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from detector.boxes import pairwise_iou
from detector.network import nms
from detector.network.nms import non_maximum_suppression, separated


def kept(boxes: np.ndarray, valid: np.ndarray, threshold: float) -> np.ndarray:
    return ops.convert_to_numpy(non_maximum_suppression(boxes, valid, np.float32(threshold)))


def greedy(boxes: np.ndarray, valid: np.ndarray, threshold: float) -> list[bool]:
    iou = ops.convert_to_numpy(pairwise_iou(boxes, boxes))  # tested on its own
    keep: list[bool] = []
    for j in range(len(boxes)):
        keep.append(bool(valid[j]) and not any(keep[i] and iou[i, j] > np.float32(threshold) for i in range(j)))
    return keep


def crowded(rng: np.random.Generator, *shape: int) -> np.ndarray:
    start = rng.uniform(0, 60, (*shape, 2))
    boxes = np.concatenate([start, start + rng.uniform(10, 50, start.shape)], -1)
    boxes[rng.random(shape) < 0.05] = 0
    boxes[rng.random(shape) < 0.05] = (20, 20, 50, 50)
    return boxes.astype(np.float32)


def in_a_row(*starts: float) -> np.ndarray:
    return np.array([(0, x, 10, x + 10) for x in starts], np.float32)


@pytest.mark.parametrize(
    ("boxes", "threshold", "expected"),
    [
        # neighbours 4 px apart share 6 of 14: IoU 0.43; 8 px apart 2 of 18: 0.11
        pytest.param(in_a_row(0, 4, 8, 12), 0.4, [1, 0, 1, 0], id="a suppressed box suppresses nothing"),
        pytest.param(in_a_row(0, 4, 8, 12), 0.1, [1, 0, 0, 1], id="low threshold"),
        pytest.param(in_a_row(0, 4, 8, 12), 0.5, [1, 1, 1, 1], id="nothing overlaps enough"),
        pytest.param(in_a_row(0, 0, 0), 0.99, [1, 0, 0], id="equal boxes"),
        pytest.param(in_a_row(0, 0, 0), 1.0, [1, 1, 1], id="nothing exceeds 1"),
        pytest.param(np.zeros((3, 4), np.float32), 0.0, [1, 1, 1], id="empty boxes do not overlap"),
    ],
)
def test_suppression_by_hand(boxes: np.ndarray, threshold: float, expected: list[int]) -> None:
    assert kept(boxes, np.ones(len(boxes), bool), threshold).tolist() == [bool(value) for value in expected]


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.3, 0.5, 0.7, 0.95])
def test_suppression_is_exactly_greedy_at_every_threshold(threshold: float) -> None:
    rng = np.random.default_rng(7)
    boxes, valid = crowded(rng, 5, 6, 70), rng.random((5, 6, 70)) < 0.8
    found = kept(boxes, valid, threshold)
    assert found.shape == (5, 6, 70)
    for image, level in np.ndindex(5, 6):
        assert found[image, level].tolist() == greedy(boxes[image, level], valid[image, level], threshold)


def test_a_chain_as_long_as_the_set_is_resolved() -> None:
    boxes = in_a_row(*(4.0 * step for step in range(101)))
    assert kept(boxes, np.ones(101, bool), 0.4).tolist() == [step % 2 == 0 for step in range(101)]


def test_sets_worked_through_one_by_one_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    boxes, valid = crowded(rng, 2, 3, 50), rng.random((2, 3, 50)) < 0.8
    together = kept(boxes, valid, 0.5)
    monkeypatch.setattr(nms, "MOST_PAIRS_AT_ONCE", 10)
    assert np.array_equal(kept(boxes, valid, 0.5), together)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1, width=32))
def test_suppression_is_idempotent(seed: int, threshold: float) -> None:
    boxes = crowded(np.random.default_rng(seed), 30)
    first = kept(boxes, np.ones(30, bool), threshold)
    assert np.array_equal(kept(boxes, first, threshold), first)


def test_separated_groups_suppress_as_if_each_were_alone() -> None:
    rng = np.random.default_rng(9)
    boxes, valid = crowded(rng, 300), rng.random(300) < 0.9
    boxes -= 20  # negative coordinates too
    groups = rng.integers(0, 90, 300)
    together = kept(separated(boxes, groups.astype(np.int32)), valid, 0.5)
    for group in range(90):
        alone = groups == group
        assert together[alone].tolist() == greedy(boxes[alone], valid[alone], 0.5)


def test_a_box_that_is_not_finite_leaves_the_others_apart() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [np.nan, 0, np.inf, 5]], np.float32)
    moved = ops.convert_to_numpy(separated(boxes, np.array([0, 1, 2], np.int32)))
    assert np.isfinite(moved[:2]).all()
    assert moved[1, 1] >= moved[0, 3]
