"""The numerics give the same on TensorFlow, as a graph and under XLA, and on JAX.

Run as a program, this file writes its outputs on the backend of KERAS_BACKEND to the .npz file that it is given. Slow:
each side compiles all of them at once.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from detector.backend import Compiled, to_device, to_host, value_and_gradients
from detector.boxes import RPN_WEIGHTS, Tensor, clip, decode, pairwise_iou
from detector.config import Anchors, Augmentation, Canvas
from detector.network.anchors import cell_anchors, grid_anchors, grid_mask
from detector.network.losses import roi_losses, rpn_losses
from detector.network.matching import low_quality_count, match
from detector.network.nms import non_maximum_suppression, separated
from detector.network.roi_align import gather_align, separable_align
from detector.network.sampling import sample
from detector.randomness import Stream, uniform
from detector.training.augmentation import augment, pack_ranges

ROOT = Path(__file__).resolve().parents[3]
CANVAS = Canvas(height_px=96, width_px=128)
EXACT = ("numbers", "labels", "matched", "forced", "chosen", "kinds", "keep", "valid")

pytestmark = pytest.mark.slow


def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(30)
    cells, mask = cell_anchors(Anchors(sizes_px=((10.0,), (20.0,), (40.0,), (60.0,), (80.0,))), 4)
    start = rng.uniform(0, 60, (2, 5, 2))
    truth = np.concatenate([start, start + rng.uniform(8, 40, (2, 5, 2))], axis=-1).astype(np.float32)
    truth[:, 4] = 0
    return {
        "cells": cells,
        "mask": mask,
        "truth": truth,
        "truth_valid": np.array([[True] * 4 + [False]] * 2),
        "images": rng.integers(0, 256, (2, 96, 128, 3), np.uint8),
        "extents": np.array([[96, 100], [70, 128]], np.float32),
        "ranges": pack_ranges(Augmentation.of_strength(0.7)),
        "seed": np.int32(77),
        "index": np.array([1000, 3], np.int32),
        "positive_iou": np.float32(0.6),
        "low_quality": np.float32(1),
        "fraction": np.float32(0.5),
        **{f"level_{n}": rng.normal(size=(2, 96 >> n, 128 >> n, 8)).astype(np.float32) for n in range(4)},
        "logits": rng.normal(size=(2, 16)).astype(np.float32),
        "class_logits": rng.normal(size=(2, 16, 4)).astype(np.float32),
        "deltas": rng.normal(size=(2, 16, 3, 4)).astype(np.float32),
    }


def pipeline(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Everything once, each part fed with what the one before it made."""
    numbers = uniform(given["seed"], Stream.ANCHOR_SAMPLING, given["index"], 4 * (768 + 192 + 48 + 12 + 4))
    pictures, truth, valid, extents = augment(
        given["images"], given["truth"], given["truth_valid"], given["extents"],
        ranges=given["ranges"], seed=given["seed"], index=given["index"],
    )  # fmt: skip
    anchors = grid_anchors(given["cells"], CANVAS)
    iou = pairwise_iou(anchors[None], given["truth"])
    labels, matched = match(
        iou, grid_mask(given["mask"], CANVAS), given["truth_valid"],
        positive_iou=given["positive_iou"], negative_iou=given["positive_iou"] / 2, low_quality=given["low_quality"],
    )  # fmt: skip
    chosen, kinds = sample(labels, numbers, slots=16, count=16, positive_fraction=given["fraction"])
    rois = ops.take(anchors, chosen, axis=0)
    partner = ops.take_along_axis(matched, chosen, axis=1)
    own = ops.take_along_axis(given["truth"], partner[..., None], axis=1)
    moved = clip(decode(given["deltas"][:, :, 0] * 0.2, rois, RPN_WEIGHTS), 96.0, 128.0)
    crowd = ops.concatenate([moved, ops.tile(anchors[None, ::9], (2, 1, 1))], axis=1)
    groups = ops.tile(ops.arange(crowd.shape[1])[None] % 2, (2, 1))
    keep = non_maximum_suppression(separated(crowd, groups), ops.ones_like(groups), given["positive_iou"] * 0.6)
    levels = [given[f"level_{n}"] for n in range(4)]
    classes = ops.where(kinds == 1, partner % 3, 3)

    def total(values: list[Tensor]) -> tuple[Tensor, Tensor]:
        *maps, logits, class_logits, deltas = values
        rpn = rpn_losses(logits, deltas[:, :, 0], kinds, rois, own, normaliser=32)
        roi = roi_losses(class_logits, deltas, kinds, classes, rois, own, normaliser=32)
        # four times as large as the canvas, so that more than one level is read
        pooled = [gather_align(maps, 4 * moved), separable_align(maps, 4 * moved)]
        squares = sum(ops.mean(ops.square(one)) for one in pooled)
        return sum((*rpn, *roi)) + squares, (pooled, [*rpn, *roi])

    watched = [*levels, given["logits"], given["class_logits"], given["deltas"]]
    _, (pooled, losses), gradients = value_and_gradients(total, watched)
    return {
        "numbers": numbers, "pictures": pictures, "moved_truth": truth, "valid": valid, "new_extents": extents,
        "iou": iou, "labels": labels, "matched": matched, "chosen": chosen, "kinds": kinds, "keep": keep,
        "forced": low_quality_count(labels, matched, iou, positive_iou=given["positive_iou"]),
        "decoded": moved, "gathered": pooled[0], "separable": pooled[1], "losses": ops.stack(losses),
        **{f"gradient_{n}": gradient for n, gradient in enumerate(gradients)},
    }  # fmt: skip


def outputs(compiled: Callable[..., dict[str, Tensor]]) -> dict[str, np.ndarray]:
    found = compiled({name: to_device(value) for name, value in inputs().items()})
    return {name: to_host(value) for name, value in found.items()}


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.dtype == second[name].dtype, name
        if name in EXACT:
            np.testing.assert_array_equal(value, second[name], err_msg=name)
        else:
            np.testing.assert_allclose(value, second[name], atol=2e-2 if name == "pictures" else 1e-4, err_msg=name)


@pytest.fixture(scope="module")
def on_tensorflow() -> dict[str, np.ndarray]:
    found = outputs(Compiled(pipeline))
    assert (found["labels"] == 1).any()
    assert set(found["kinds"].ravel().tolist()) == {0, 1}
    assert 0 < found["keep"].sum() < found["keep"].size
    assert all(np.abs(found[f"gradient_{n}"]).max() > 0 for n in (0, 1, 4, 5, 6))
    return found


def test_xla_gives_what_the_graph_gives(on_tensorflow: dict[str, np.ndarray]) -> None:
    import tensorflow as tf

    assert_same(on_tensorflow, outputs(tf.function(pipeline, jit_compile=True, autograph=False)))


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed (an optional extra)")
def test_jax_gives_what_tensorflow_gives(on_tensorflow: dict[str, np.ndarray], tmp_path: Path) -> None:
    file = tmp_path / "jax.npz"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, __file__, str(file)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    with np.load(file) as stored:
        assert_same(on_tensorflow, dict(stored))


if __name__ == "__main__":
    np.savez(sys.argv[1], **outputs(Compiled(pipeline)))
