"""The RPN head at sampled anchors equals the whole head there, values and gradients, at borders and on every level."""

import dataclasses
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from keras import ops

from detector.backend import to_device, to_host, value_and_gradients
from detector.boxes import Tensor
from detector.config import Canvas, StepShape
from detector.network.anchors import anchor_count, level_sizes
from detector.network.network import CHANNELS, rpn_head
from detector.network.proposals import flatten_levels
from detector.network.sampled_rpn import outputs_at, worth_sampling

CANVAS = Canvas(height_px=64, width_px=96)
SLOTS = 3
COUNT = anchor_count(CANVAS, SLOTS)
SHAPE = StepShape(canvas=CANVAS, micro_batch=2, anchors_per_cell=SLOTS, boxes_per_image=4, classes=3)


@pytest.fixture(scope="module")
def rpn() -> object:
    head = rpn_head(SLOTS)
    random = np.random.default_rng(1)
    for variable in head.variables:
        variable.assign(random.normal(0, 0.05, variable.shape).astype(np.float32))
    return head


def levels() -> list[Tensor]:
    random = np.random.default_rng(2)
    sizes = level_sizes(CANVAS)
    return [to_device(random.normal(size=(2, *size, CHANNELS)).astype(np.float32)) for size in sizes]


def chosen_anchors() -> np.ndarray:
    """The first and last anchor of every level, where the borders are, and some between; one anchor twice."""
    ends = np.cumsum([0, *(high * wide * SLOTS for high, wide in level_sizes(CANVAS))])
    corners = [anchor for start, end in pairwise(ends) for anchor in (start, end - 1)]
    random = np.random.default_rng(3)
    return np.stack([np.concatenate([corners, [5, 5], random.integers(0, COUNT, 20)]) for _ in range(2)]).astype(
        np.int32
    )


def whole(rpn: Callable[[Tensor], list[Tensor]], maps: Sequence[Tensor], chosen: Tensor) -> tuple[Tensor, Tensor]:
    outputs = [rpn(level) for level in maps]
    logits = flatten_levels([output[0] for output in outputs], 1)[..., 0]
    deltas = flatten_levels([output[1] for output in outputs], 4)
    return ops.take_along_axis(logits, chosen, axis=1), ops.take_along_axis(deltas, chosen[..., None], axis=1)


def test_outputs_at_samples_are_those_of_the_whole_head(rpn: object) -> None:
    chosen = to_device(chosen_anchors())
    for sampled, dense in zip(outputs_at(rpn, levels(), chosen, SLOTS), whole(rpn, levels(), chosen), strict=True):
        np.testing.assert_allclose(to_host(sampled), to_host(dense), atol=1e-5)


def test_gradients_reach_the_levels_as_through_the_whole_head(rpn: object) -> None:
    chosen = to_device(chosen_anchors())

    def gradients(outputs: Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]]) -> list[np.ndarray]:
        def loss(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
            logits, deltas = outputs(maps)
            return ops.sum(ops.square(logits)) + ops.sum(ops.sin(deltas)), logits

        return [to_host(gradient) for gradient in value_and_gradients(loss, levels())[2]]

    sampled = gradients(lambda maps: outputs_at(rpn, maps, chosen, SLOTS))
    dense = gradients(lambda maps: whole(rpn, maps, chosen))
    for one, other in zip(sampled, dense, strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(
    ("samples", "worth_it"),
    [
        # P2 to P6 of 64 × 96: 16·24 + 8·12 + 4·6 + 2·3 + 1·2 = 512 cells
        (256, True),
        (257, False),
    ],
)
def test_sampling_pays_while_samples_touch_at_most_half_of_the_cells(samples: int, worth_it: bool) -> None:
    assert worth_sampling(dataclasses.replace(SHAPE, anchor_samples=samples)) is worth_it
