"""The compiled train step: theory at step 0, accumulation, padding, masking, and one trace for many trials."""

import dataclasses
import math

import numpy as np
import pytest

from detector.backend import BACKEND, prepare_device, to_device, to_host
from detector.config import Anchors, Augmentation, Hyperparameters, Optimizer
from detector.network.network import Network
from detector.training.inputs import step_inputs, trial_inputs
from detector.training.step import TrainingBatch, pixel_figures
from detector.watch.health import bad_terms
from tests.support.step_bench import CLASSES, PLAIN, SHAPE, SMALL_ANCHORS, Bench, batch


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    prepare_device(tmp_path_factory.mktemp("cache"))
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
    assert len(statistics) == 2 * 20  # ResNet-18 has 20 convolutions, each with its norm
    for variable in bench.network.frozen:
        np.testing.assert_array_equal(to_host(variable), before[variable.path])


def test_padding_does_not_count_among_the_pixels() -> None:
    images = np.zeros((2, 4, 6, 3), np.float32)  # padding is 0 after preprocessing
    images[0, :4, :3] = [-10.0, 0.0, 40.0]  # flat, whatever the channels' means
    images[1, :2, :6] = [-10.0, 0.0, 40.0]
    nothing = to_device(np.zeros((2, 1), np.float32))
    extents = to_device(np.float32([[4, 3], [2, 6]]))
    flat = pixel_figures(TrainingBatch(to_device(images), extents, nothing, nothing, nothing, nothing))
    assert float(to_host(flat["pixel_mean"])) == pytest.approx(10.0)  # (-10 + 0 + 40) / 3
    assert float(to_host(flat["pixel_deviation"])) == pytest.approx(0.0, abs=1e-3)

    images[1, :2, :6] += 6.0  # half of the pixels: 3 above and 3 below the mean of each channel
    striped = pixel_figures(TrainingBatch(to_device(images), extents, nothing, nothing, nothing, nothing))
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


@pytest.mark.skipif(BACKEND != "tensorflow", reason="reads a TensorFlow graph; JAX drops what no output needs")
def test_frozen_stages_are_not_differentiated_through(bench: Bench) -> None:
    inputs = trial_inputs(PLAIN, SHAPE, seed=0) | step_inputs(learning_rate=0.1, step=0, micro_step=0, micro_steps=1)
    traced = bench.step._call.get_concrete_function(
        bench.state(),
        [to_device(to_host(v)) for v in bench.network.frozen],
        {k: to_device(v) for k, v in batch(0, SHAPE).items()},
        {k: to_device(v) for k, v in inputs.items()},
    )
    backward = {op.name: op for op in traced.graph.get_operations() if op.type.startswith("Conv2DBackprop")}
    assert SHAPE.frozen_stages == 2
    assert [name for name in backward if "/conv1_conv" in name or "/conv2_block" in name] == []
    first = {name: op for name, op in backward.items() if "/conv3_block1_1_conv" in name}  # the first that trains
    assert {op.type for op in first.values() if op.outputs[0].consumers()} == {"Conv2DBackpropFilter"}
