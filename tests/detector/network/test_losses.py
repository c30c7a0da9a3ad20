import math
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from detector.network.losses import roi_losses, rpn_losses

BOX, HALF = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 5.0)


def gradients(function: Callable[..., tf.Tensor], *values: np.ndarray) -> list[np.ndarray]:
    tensors = [tf.constant(value) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        total = function(*tensors)
    return [gradient.numpy() for gradient in tape.gradient(total, tensors)]


def finite_difference(function: Callable[[np.ndarray], tf.Tensor], value: np.ndarray, step: float = 1e-2) -> np.ndarray:
    result, function = np.zeros_like(value), tf.function(function, autograph=False)
    for place in np.ndindex(value.shape):
        above, below = value.copy(), value.copy()
        above[place] += step
        below[place] -= step
        result[place] = (float(function(above)) - float(function(below))) / (2 * step)
    return result


def scene(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """2 images, 6 slots, 3 classes; the last slot of each image is unused."""
    start = rng.uniform(0, 40, (2, 6, 2))
    boxes = np.concatenate([start, start + rng.uniform(5, 40, (2, 6, 2))], -1).astype(np.float32)
    kinds = np.array([[1, 0, 1, 0, 1, -1], [0, 0, 1, 1, 0, -1]], np.int32)
    return {
        "kinds": kinds,
        "classes": np.where(kinds == 1, rng.integers(0, 3, (2, 6)), 3).astype(np.int32),
        "boxes": boxes,
        "truth": boxes + rng.normal(0, 2, boxes.shape).astype(np.float32),
        "objectness": rng.normal(0, 2, (2, 6)).astype(np.float32),
        "rpn_deltas": rng.normal(0, 1, (2, 6, 4)).astype(np.float32),
        "logits": rng.normal(0, 2, (2, 6, 4)).astype(np.float32),
        "roi_deltas": rng.normal(0, 1, (2, 6, 3, 4)).astype(np.float32),
    }


def test_rpn_losses_by_hand() -> None:
    logits = np.array([[0.0, 2.0, -1.0, 99.0]], np.float32)
    kinds = np.array([[1, 0, 1, -1]], np.int32)
    anchors = np.array([[BOX, BOX, BOX, BOX]], np.float32)
    truth = np.array([[HALF, HALF, BOX, HALF]], np.float32)
    deltas = np.zeros((1, 4, 4), np.float32)
    class_loss, box_loss = rpn_losses(logits, deltas, kinds, anchors, truth, normaliser=4)
    expected = math.log(2) + math.log(1 + math.exp(2)) + math.log(1 + math.exp(1))
    assert float(class_loss) == pytest.approx(expected / 4, rel=1e-5)
    # slot 0: centre moves by -2.5 of 10, width halves; slot 2 is right already
    assert float(box_loss) == pytest.approx((0.25 + math.log(2)) / 4, rel=1e-5)


def test_roi_losses_by_hand() -> None:
    logits = np.array([[[0, 0, 0], [1, 2, 3], [9, 9, 9]]], np.float32)  # two classes and the background
    kinds, classes = np.array([[1, 0, -1]], np.int32), np.array([[1, 2, 2]], np.int32)
    boxes = np.array([[BOX, BOX, BOX]], np.float32)
    truth = np.array([[HALF, BOX, BOX]], np.float32)
    deltas = np.full((1, 3, 2, 4), 7.0, np.float32)
    deltas[0, 0, 1] = (0.0, -2.0, 0.0, 0.0)
    class_loss, box_loss = roi_losses(logits, deltas, kinds, classes, boxes, truth, normaliser=3)
    expected = math.log(3) + math.log(math.exp(1) + math.exp(2) + math.exp(3)) - 3
    assert float(class_loss) == pytest.approx(expected / 3, rel=1e-5)
    # dx: 10 · -0.25 = -2.5 against -2; dw: 5 · log(1/2) against 0
    assert float(box_loss) == pytest.approx((0.5 + 5 * math.log(2)) / 3, rel=1e-5)


def test_untrained_outputs_cost_what_theory_says() -> None:
    kinds = np.array([[1] * 4 + [0] * 12], np.int32)
    boxes = np.tile(np.array(BOX, np.float32), (1, 16, 1))
    rpn, _ = rpn_losses(np.zeros((1, 16)), np.zeros((1, 16, 4)), kinds, boxes, boxes, normaliser=16)
    assert float(rpn) == pytest.approx(math.log(2), rel=1e-6)
    roi, _ = roi_losses(np.zeros((1, 16, 6)), np.zeros((1, 16, 5, 4)), kinds, kinds, boxes, boxes, normaliser=16)
    assert float(roi) == pytest.approx(math.log(6), rel=1e-6)


def test_gradients_of_the_rpn_losses_agree_with_finite_differences() -> None:
    case = scene(np.random.default_rng(10))

    def total(logits: np.ndarray, deltas: np.ndarray) -> tf.Tensor:
        pair = rpn_losses(logits, deltas, case["kinds"], case["boxes"], case["truth"], normaliser=np.float32(12))
        return pair[0] + pair[1]

    logits, deltas = case["objectness"], case["rpn_deltas"]
    by_logits, by_deltas = gradients(total, logits, deltas)
    np.testing.assert_allclose(by_logits, finite_difference(lambda value: total(value, deltas), logits), atol=1e-3)
    np.testing.assert_allclose(by_deltas, finite_difference(lambda value: total(logits, value), deltas), atol=1e-3)
    assert (by_logits[case["kinds"] < 0] == 0).all()
    assert (by_deltas[case["kinds"] < 1] == 0).all()
    assert (by_deltas[case["kinds"] == 1] != 0).all()


def test_gradients_of_the_roi_losses_agree_with_finite_differences() -> None:
    case = scene(np.random.default_rng(11))
    fixed = [case[name] for name in ("kinds", "classes", "boxes", "truth")]

    def total(logits: np.ndarray, deltas: np.ndarray) -> tf.Tensor:
        pair = roi_losses(logits, deltas, *fixed, normaliser=np.float32(12))
        return pair[0] + pair[1]

    logits, deltas = case["logits"], case["roi_deltas"]
    by_logits, by_deltas = gradients(total, logits, deltas)
    np.testing.assert_allclose(by_logits, finite_difference(lambda value: total(value, deltas), logits), atol=1e-3)
    np.testing.assert_allclose(by_deltas, finite_difference(lambda value: total(logits, value), deltas), atol=1e-3)
    assert (by_logits[case["kinds"] < 0] == 0).all()
    own = np.eye(4, dtype=bool)[case["classes"]][..., :3]  # of the true class, of positives only
    assert ((by_deltas != 0).all(axis=-1) == own).all()


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
def test_unused_slots_stay_out_of_losses_and_gradients_whatever_they_hold(poison: float) -> None:
    case = scene(np.random.default_rng(12))
    poisoned = {name: value.copy() for name, value in case.items()}
    for name in ("objectness", "rpn_deltas", "logits", "roi_deltas", "truth"):
        poisoned[name][case["kinds"] < 0] = poison

    def total(values: dict[str, np.ndarray]) -> Callable[..., tf.Tensor]:
        def losses(objectness: tf.Tensor, rpn: tf.Tensor, logits: tf.Tensor, roi: tf.Tensor) -> tf.Tensor:
            kinds, boxes, truth = values["kinds"], values["boxes"], values["truth"]
            first = rpn_losses(objectness, rpn, kinds, boxes, truth, normaliser=12.0)
            second = roi_losses(logits, roi, kinds, values["classes"], boxes, truth, normaliser=12.0)
            return sum((*first, *second))

        return losses

    names = ("objectness", "rpn_deltas", "logits", "roi_deltas")
    clean, dirty = ([values[name] for name in names] for values in (case, poisoned))
    assert float(total(poisoned)(*dirty)) == float(total(case)(*clean))
    for first, second in zip(gradients(total(case), *clean), gradients(total(poisoned), *dirty), strict=True):
        np.testing.assert_array_equal(first, second)


def test_losses_are_float32_under_bfloat16_outputs() -> None:
    case = scene(np.random.default_rng(13))
    low = {name: tf.cast(case[name], "bfloat16") for name in ("objectness", "rpn_deltas", "logits", "roi_deltas")}
    same = {name: tf.cast(value, "float32") for name, value in low.items()}
    for outputs in (low, same):
        rpn = rpn_losses(
            outputs["objectness"], outputs["rpn_deltas"], case["kinds"], case["boxes"], case["truth"], normaliser=12
        )
        roi = roi_losses(
            outputs["logits"], outputs["roi_deltas"], case["kinds"], case["classes"], case["boxes"], case["truth"],
            normaliser=12,
        )  # fmt: skip
        assert {value.dtype for value in (*rpn, *roi)} == {tf.float32}
        outputs["losses"] = [float(value) for value in (*rpn, *roi)]
    assert low["losses"] == same["losses"]


def test_huge_logits_do_not_overflow() -> None:
    kinds, boxes = np.array([[1, 0]], np.int32), np.array([[BOX, BOX]], np.float32)
    logits = np.array([[-1e4, 1e4]], np.float32)
    loss, _ = rpn_losses(logits, np.zeros((1, 2, 4), np.float32), kinds, boxes, boxes, normaliser=2)
    assert float(loss) == pytest.approx(1e4)
