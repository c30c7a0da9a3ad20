import numpy as np
import pytest
from keras import ops

from detector.boxes import pairwise_iou
from detector.network.matching import low_quality_count, match


def matched(iou: np.ndarray, anchors: np.ndarray, truth: np.ndarray, **rules: float) -> tuple[np.ndarray, np.ndarray]:
    rules = {"positive_iou": 0.7, "negative_iou": 0.3, "low_quality": 1.0, **rules}
    labels, best = match(iou, anchors, truth, **rules)
    return ops.convert_to_numpy(labels), ops.convert_to_numpy(best)


def reference(
    iou: np.ndarray, anchors: np.ndarray, truth: np.ndarray, positive: float, negative: float, low_quality: bool
) -> tuple[np.ndarray, np.ndarray]:
    """One image, anchor by anchor, as Detectron2's Matcher with `allow_low_quality_matches`."""
    labels, best = np.full(len(iou), -1), np.zeros(len(iou), int)
    living = [g for g in range(iou.shape[1]) if truth[g]]
    for n in range(len(iou)):
        if not anchors[n]:
            continue
        overlap = max((iou[n, g] for g in living), default=0.0)
        if not living or overlap < negative:
            labels[n] = 0
        elif overlap >= positive:
            labels[n] = 1
        if living:
            best[n] = next(g for g in living if iou[n, g] == overlap)
    for g in living if low_quality else []:
        column = [iou[n, g] if anchors[n] else -1.0 for n in range(len(iou))]
        for n in range(len(iou)):
            if anchors[n] and max(column) > 1e-3 and column[n] >= max(column) - 1e-5:
                labels[n] = 1
    return labels, best


def test_a_table_by_hand() -> None:
    iou = np.array(
        [
            [0.8, 0.1, 0.9],  # positive for truth 0; truth 2 is padding
            [0.5, 0.2, 0.0],  # between the thresholds: ignored
            [0.2, 0.25, 0.0],  # negative, but the best anchor of truth 1: forced
            [0.1, 0.0, 0.0],  # negative
            [0.9, 0.6, 0.0],  # masked: neither positive nor the best of anything
        ],
        np.float32,
    )[None]
    anchors, truth = np.array([True, True, True, True, False]), np.array([[True, True, False]])
    labels, best = matched(iou, anchors, truth)
    assert labels.tolist() == [[1, -1, 1, 0, -1]]
    assert best[0, :4].tolist() == [0, 0, 1, 0]
    count = low_quality_count(labels, best, iou, positive_iou=0.7)
    assert ops.convert_to_numpy(count).tolist() == [1]
    labels, _ = matched(iou, anchors, truth, low_quality=0.0)
    assert labels.tolist() == [[1, -1, 0, 0, -1]]


def test_a_forced_anchor_keeps_its_own_best_truth() -> None:
    iou = np.array([[[0.6, 0.5], [0.65, 0.0]]], np.float32)  # anchor 0 is the best of truth 1, but likes truth 0 more
    labels, best = matched(iou, np.ones(2, bool), np.ones((1, 2), bool))
    assert labels.tolist() == [[1, 1]]
    assert best.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    "iou",
    [
        pytest.param(np.zeros((1, 50, 2), np.float32), id="truth outside every anchor"),
        pytest.param(np.full((1, 50, 2), 5e-4, np.float32), id="truth hardly touched"),
    ],
)
def test_a_truth_that_no_anchor_overlaps_forces_none(iou: np.ndarray) -> None:
    labels, _ = matched(iou, np.ones(50, bool), np.ones((1, 2), bool))
    assert (labels == 0).all()


def test_an_image_without_truth_has_only_negatives_even_at_threshold_0() -> None:
    anchors = np.array([[True, True, False]])
    iou = np.full((1, 3, 2), 0.9, np.float32)
    labels, best = matched(iou, anchors, np.zeros((1, 2), bool), negative_iou=0.0, positive_iou=0.0)
    assert labels.tolist() == [[0, 0, -1]]
    assert best.tolist() == [[0, 0, 0]]


def test_ties_up_to_rounding_are_all_forced() -> None:
    iou = np.array([[[0.4], [0.4 - 5e-6], [0.4 - 5e-5]]], np.float32)
    labels, _ = matched(iou, np.ones(3, bool), np.ones((1, 1), bool))
    assert labels.tolist() == [[1, 1, -1]]


@pytest.mark.parametrize("low_quality", [False, True])
@pytest.mark.parametrize(("positive", "negative"), [(0.7, 0.3), (0.5, 0.5), (0.4, 0.0), (1.0, 1.0)])
def test_matching_agrees_with_the_slow_reference(positive: float, negative: float, low_quality: bool) -> None:
    rng = np.random.default_rng(4)
    images, count, slots = 40, 60, 5
    start = rng.uniform(0, 40, (images, count + slots, 2))
    boxes = np.concatenate([start, start + rng.uniform(5, 40, start.shape)], -1).astype(np.float32)
    boxes[:, count + 2, 2:] = boxes[:, count + 2, :2]  # a degenerate truth that is not marked as padding
    iou = ops.convert_to_numpy(pairwise_iou(boxes[:, :count], boxes[:, count:]))
    iou = np.where(rng.random(iou.shape) < 0.05, rng.choice([0.3, 1.0], iou.shape), iou).astype(np.float32)  # ties
    anchors, truth = rng.random((images, count)) < 0.8, rng.random((images, slots)) < 0.5
    truth[:3] = False
    labels, best = matched(
        iou, anchors, truth, positive_iou=positive, negative_iou=negative, low_quality=float(low_quality)
    )
    for image in range(images):
        threshold = np.float32(positive), np.float32(negative)
        expected = reference(iou[image], anchors[image], truth[image], *threshold, low_quality)
        np.testing.assert_array_equal(labels[image], expected[0])
        np.testing.assert_array_equal(best[image][anchors[image]], expected[1][anchors[image]])
    assert {0, 1} <= set(labels.ravel().tolist())
