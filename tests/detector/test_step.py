"""The compiled train step: theory at step 0, accumulation, padding, masking, and one trace for many trials."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from detector import weights
from detector.backend import Compiled, to_device, to_host
from detector.config import Anchors, Augmentation, Canvas, Hyperparameters, Optimizer, StepShape
from detector.health import bad_terms, unpack
from detector.inputs import step_inputs, trial_inputs
from detector.network import Network, build
from detector.step import Scene, TrainStep, initial_state, pixel_figures

CLASSES = 3
SHAPE = StepShape(
    canvas=Canvas(height_px=64, width_px=96),
    micro_batch=2,
    anchors_per_cell=6,
    boxes_per_image=4,
    classes=CLASSES,
    pre_nms_train=64,
    pre_nms_test=64,
    proposals_train=32,
    proposals_test=32,
    anchor_samples=64,
    roi_samples=16,
    frozen_stages=2,
)
SMALL_ANCHORS = Anchors(sizes_px=((8.0,), (16.0,), (32.0,), (64.0,), (128.0,)))
STILL = Augmentation(flip_probability=0.0)
PLAIN = Hyperparameters(anchors=SMALL_ANCHORS, batch_size=4, augmentation=STILL)


class Bench:
    """A network of one shape with its compiled step, and its values as they were at first."""

    def __init__(self, shape: StepShape) -> None:
        self.shape = shape
        self.network = build(shape)
        weights.draw_backbone(self.network, 0, pictures(8))
        for number, part in enumerate(self.network.heads, start=1):
            weights.reseed(part, number)
        self.step = Compiled(TrainStep(self.network, shape), donate_first=True)

    def state(self, **named: np.ndarray) -> dict[str, Any]:
        return initial_state([to_device(named.get(v.path, to_host(v))) for v in self.network.trainable])

    def run(
        self, hyperparameters: Hyperparameters, *, learning_rates: list[float], state: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], list[dict[str, float]]]:
        """One optimizer step per learning rate; returns the state and every step's figures."""
        state = state or self.state()
        frozen = [to_device(to_host(v)) for v in self.network.frozen]
        inputs = {k: to_device(v) for k, v in trial_inputs(hyperparameters, self.shape, seed=7).items()}
        micro_steps = hyperparameters.batch_size // self.shape.micro_batch
        seen = []
        for step, rate in enumerate(learning_rates):
            for micro_step in range(micro_steps):
                first = step * hyperparameters.batch_size + micro_step * self.shape.micro_batch
                varying = step_inputs(learning_rate=rate, step=step, micro_step=micro_step, micro_steps=micro_steps)
                state, figures = self.step(
                    state,
                    frozen,
                    {k: to_device(v) for k, v in batch(first, self.shape).items()},
                    inputs | {k: to_device(v) for k, v in varying.items()},
                )
            seen.append(unpack(to_host(figures)))
        return state, seen


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 64, 96, 3)).astype(np.uint8)


def batch(first: int, shape: StepShape) -> dict[str, np.ndarray]:
    """Samples `first` and on: sample n shows picture n mod 8 with one box, or with two when n is odd."""
    samples = np.arange(first, first + shape.micro_batch)
    boxes = np.zeros((shape.micro_batch, shape.boxes_per_image, 4), np.float32)
    alive = np.zeros(boxes.shape[:2], bool)
    for row, sample in enumerate(samples):
        boxes[row, 0] = (8 + sample % 8, 10, 40, 44)
        alive[row, 0] = True
        if sample % 2:
            boxes[row, 1] = (20, 50, 60, 90)
            alive[row, 1] = True
    return {
        "images": pictures(8)[samples % 8],
        "extents": np.tile(np.float32([64, 96]), (len(samples), 1)),
        "boxes": boxes,
        "alive": alive,
        "classes": np.tile(np.int32([0, 2, 0, 0]), (len(samples), 1)),
        "index": samples.astype(np.int32),
    }


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(SHAPE)


def zero_heads(network: Network) -> dict[str, np.ndarray]:
    """Output layers that say nothing, as their tiny initial values nearly do on features of unit size."""
    silent = ("rpn_logits", "rpn_deltas", "class_logits", "box_deltas")
    return {v.path: np.zeros(v.shape, np.float32) for v in network.trainable if v.path.split("/")[-2] in silent}


def test_losses_at_step_0_equal_theory_when_the_outputs_say_nothing(bench: Bench) -> None:
    _, (figures,) = bench.run(PLAIN, learning_rates=[0.0], state=bench.state(**zero_heads(bench.network)))
    assert figures["loss_rpn_class"] == pytest.approx(math.log(2), rel=1e-5)
    assert figures["loss_roi_class"] == pytest.approx(math.log(CLASSES + 1), rel=1e-5)


def test_losses_of_a_fresh_detector_lie_near_theory(bench: Bench) -> None:
    _, (figures,) = bench.run(PLAIN, learning_rates=[0.0])
    assert figures["loss_rpn_class"] == pytest.approx(math.log(2), abs=0.05)
    assert figures["loss_roi_class"] == pytest.approx(math.log(CLASSES + 1), abs=0.3)


def test_two_micro_batches_equal_one_batch_of_twice_the_size(bench: Bench) -> None:
    whole = Bench(dataclasses.replace(SHAPE, micro_batch=4))
    augmented = dataclasses.replace(PLAIN, augmentation=Augmentation.of_strength(0.5))
    values = {v.path: to_host(v) for v in bench.network.trainable}
    for mine, theirs in zip(bench.network.frozen, whole.network.frozen, strict=True):
        theirs.assign(to_host(mine))
    parts, (parts_figures,) = bench.run(augmented, learning_rates=[0.01])
    one, (one_figures,) = whole.run(augmented, learning_rates=[0.01], state=whole.state(**values))
    assert parts_figures["loss"] == pytest.approx(one_figures["loss"], rel=1e-4)
    assert parts_figures["gradient_norm"] == pytest.approx(one_figures["gradient_norm"], rel=1e-3)
    for part, whole_value, start in zip(parts["weights"], one["weights"], values.values(), strict=True):
        moved = np.abs(to_host(whole_value) - start).max()
        assert np.abs(to_host(part) - to_host(whole_value)).max() <= 1e-3 * moved + 1e-7


def test_masked_anchor_slots_change_nothing(bench: Bench) -> None:
    narrow = Bench(dataclasses.replace(SHAPE, anchors_per_cell=3))
    values = {}
    for variable in bench.network.trainable:
        value, layer = to_host(variable), variable.path.split("/")[-2]
        kept = {"rpn_logits": 3, "rpn_deltas": 12}.get(layer)
        values[variable.path] = value if kept is None else value[..., :kept]
    for mine, theirs in zip(bench.network.frozen, narrow.network.frozen, strict=True):
        theirs.assign(to_host(mine))
    # Sampling draws one number an anchor slot, so take every anchor that could be drawn out of the comparison.
    hyperparameters = dataclasses.replace(PLAIN, rpn_positive_fraction=1.0, rpn_negative_iou=0.0)
    _, (padded,) = bench.run(hyperparameters, learning_rates=[0.0])
    _, (exact,) = narrow.run(hyperparameters, learning_rates=[0.0], state=narrow.state(**values))
    for name in ("positive_anchors", "proposal_recall", "loss_rpn_class", "loss_rpn_box", "valid_proposals"):
        assert padded[name] == pytest.approx(exact[name], rel=1e-5), name


def test_a_non_finite_update_is_never_applied_and_the_first_one_is_remembered(bench: Bench) -> None:
    # The second step's rate throws the weights so far that the third step's losses are not finite any more.
    state, figures = bench.run(PLAIN, learning_rates=[0.001, 1e12, 0.001, 0.001])
    assert figures[0]["first_bad_step"] == -1
    assert figures[3]["first_bad_step"] in (2, 1)
    assert bad_terms(figures[3])
    assert bad_terms(figures[0]) == ()
    assert all(np.isfinite(to_host(value)).all() for value in state["weights"])


def test_trials_that_differ_in_everything_share_one_executable(bench: Bench) -> None:
    for anchors, optimizer, batch_size, strength in (
        (SMALL_ANCHORS, Optimizer.SGD, 2, 0.0),
        (Anchors(sizes_px=((8.0, 12.0),) * 5, ratios=(0.5, 1.0, 2.0)), Optimizer.ADAM, 4, 0.3),
        (Anchors(sizes_px=((6.0,),) * 5, ratios=(1.0,)), Optimizer.SGD, 8, 1.0),
    ):
        trial = Hyperparameters(
            anchors=anchors,
            optimizer=optimizer,
            batch_size=batch_size,
            augmentation=Augmentation.of_strength(strength),
            momentum=0.5,
            clip_norm=1.0,
            rpn_lr_factor=2.0,
        )
        bench.run(trial, learning_rates=[0.001, 0.0005, 0.0001])
    assert bench.step.traces == 1


def test_batch_norm_never_moves_and_is_nothing_that_the_optimizer_could_move(bench: Bench) -> None:
    norms = [v.path for v in bench.network.trainable if "_bn/" in v.path]
    before = {v.path: to_host(v).copy() for v in bench.network.frozen}
    statistics = [path for path in before if path.endswith(("moving_mean", "moving_variance"))]
    bench.run(PLAIN, learning_rates=[0.01])
    assert norms == []
    assert len(statistics) == 2 * 53  # ResNet-50 has 53 convolutions, each with its norm
    for variable in bench.network.frozen:
        np.testing.assert_array_equal(to_host(variable), before[variable.path])


def test_padding_does_not_count_among_the_pixels() -> None:
    images = np.zeros((2, 4, 6, 3), np.float32)  # padding is 0 after preprocessing
    images[0, :4, :3] = [-10.0, 0.0, 40.0]  # flat, whatever the channels' means
    images[1, :2, :6] = [-10.0, 0.0, 40.0]
    nothing = to_device(np.zeros((2, 1), np.float32))
    extents = to_device(np.float32([[4, 3], [2, 6]]))
    flat = pixel_figures(Scene(to_device(images), extents, nothing, nothing, nothing, nothing))
    assert float(to_host(flat["pixel_mean"])) == pytest.approx(10.0)  # (-10 + 0 + 40) / 3
    assert float(to_host(flat["pixel_deviation"])) == pytest.approx(0.0, abs=1e-3)

    images[1, :2, :6] += 6.0  # half of the pixels: 3 above and 3 below the mean of each channel
    striped = pixel_figures(Scene(to_device(images), extents, nothing, nothing, nothing, nothing))
    assert float(to_host(striped["pixel_deviation"])) == pytest.approx(3.0)


def test_the_samples_in_use_and_the_forced_positives_are_counted(bench: Bench) -> None:
    huge = dataclasses.replace(PLAIN, anchors=Anchors(sizes_px=((256.0,),) * 5))  # no box of 32 px overlaps by 0.7
    _, (fitting,) = bench.run(PLAIN, learning_rates=[0.0])
    _, (forced,) = bench.run(huge, learning_rates=[0.0])
    assert fitting["sampled_anchors"] == SHAPE.anchor_samples
    assert 0 < fitting["sampled_rois"] <= SHAPE.roi_samples
    assert forced["low_quality_anchors"] == forced["positive_anchors"] > 0
    assert fitting["largest_label"] == 2.0  # of the second box of every odd sample


def test_the_clip_bounds_the_step_that_the_whole_batch_takes(bench: Bench) -> None:
    gentle = dataclasses.replace(PLAIN, clip_norm=0.5, momentum=0.0, weight_decay=0.0)
    start = [to_host(v) for v in bench.network.trainable]
    state, (figures,) = bench.run(gentle, learning_rates=[0.1])
    assert figures["gradient_norm"] > 0.5
    moved = math.sqrt(sum(float(np.sum((to_host(a) - b) ** 2)) for a, b in zip(state["weights"], start, strict=True)))
    assert moved == pytest.approx(0.1 * 0.5, rel=1e-3)
