"""Between our names and layouts and those of torchvision and Detectron2."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies

from detector.config import BackboneName
from detector.geometry import KERAS, TORCHVISION
from detector.resnets import RESNETS
from detector.weight_files import dialects, layouts
from detector.weight_files.dialects import Dialect
from detector.weight_files.found_weights import AnchorLayout
from detector.weight_files.norms import with_epsilon
from detector.weight_files.translation import Translation
from tests.support.foreign_files import LAYOUT, our_values

DIALECTS = (dialects.TORCHVISION, dialects.DETECTRON2)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("backbone", BackboneName)
def test_a_detector_comes_back_bit_for_bit(dialect: Dialect, backbone: BackboneName) -> None:
    ours = our_values(backbone)
    between = Translation(dialect=dialect, shape=RESNETS[backbone], geometry=TORCHVISION, body=dialect.body)
    theirs = between.their_backbone(ours) | between.their_heads(ours, LAYOUT)
    again = between.our_backbone(theirs) | between.our_heads(theirs, LAYOUT)
    assert again.keys() == ours.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_a_kernel_has_its_axes_exchanged_and_one_on_a_flattened_map_its_channels_last() -> None:
    theirs = np.arange(2 * 3 * 5 * 7).reshape(2, 3, 5, 7)
    assert layouts.kernel(theirs)[4, 6, 2, 1] == theirs[1, 2, 4, 6]
    assert layouts.kernel(np.arange(6).reshape(2, 3))[2, 0] == 2
    flat = np.arange(2 * 256 * 7 * 7).reshape(2, -1)
    # channel 5 of cell (3, 4): theirs at 5 · 49 + 3 · 7 + 4, ours at (3 · 7 + 4) · 256 + 5
    assert layouts.flat_kernel(flat)[(3 * 7 + 4) * 256 + 5, 1] == flat[1, 5 * 49 + 3 * 7 + 4]


def test_rows_of_classes_sides_and_anchors_change_places() -> None:
    assert layouts.background_last(np.array([9, 1, 2, 3])).tolist() == [1, 2, 3, 9]
    assert layouts.sides(np.arange(8)).tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
    layout = AnchorLayout(sizes=2, ratios=3)
    # by ratio: r0s0 r0s1 r1s0 r1s1 r2s0 r2s1; by size: r0s0 r1s0 r2s0 r0s1 r1s1 r2s1
    assert layouts.sizes_first(np.arange(6), layout, 1).tolist() == [0, 2, 4, 1, 3, 5]
    assert layouts.ratios_first(np.array([0, 2, 4, 1, 3, 5]), layout, 1).tolist() == [0, 1, 2, 3, 4, 5]


def test_slots_without_an_anchor_are_left_out_and_the_background_moves_no_box() -> None:
    ours = our_values(BackboneName.RESNET18, slots=9)
    between = Translation(
        dialect=dialects.TORCHVISION, shape=RESNETS[BackboneName.RESNET18], geometry=TORCHVISION, body=""
    )
    theirs = between.their_heads(ours, LAYOUT)
    assert theirs["rpn.head.cls_logits.bias"].shape == (6,)
    assert theirs["rpn.head.bbox_pred.bias"].shape == (24,)
    assert theirs["roi_heads.box_predictor.bbox_pred.bias"][:4].tolist() == [0, 0, 0, 0]
    assert theirs["roi_heads.box_predictor.cls_score.bias"][0] == ours["class_logits/bias"][-1]


def normalised(x: float, gamma: float, mean: float, variance: float, epsilon: float) -> float:
    return gamma * (x - mean) / np.sqrt(variance + epsilon)


@given(
    strategies.floats(0, 4, width=32), strategies.floats(0.125, 2, width=32), strategies.sampled_from([0.0, 1.001e-5])
)
def test_a_norm_with_another_epsilon_is_the_same_function(variance: float, gamma: float, epsilon: float) -> None:
    if variance + epsilon == 0:
        return
    arrays = (np.array([gamma], np.float32), np.array([variance], np.float32))
    (scale,), (other,) = with_epsilon(*arrays, epsilon=epsilon, wanted=1e-5)
    assert other > 0
    before = normalised(1.5, gamma, 0.25, float(arrays[1][0]), epsilon)
    assert normalised(1.5, float(scale), 0.25, float(other), 1e-5) == pytest.approx(before, rel=1e-3)


def test_the_bias_of_a_convolution_becomes_part_of_the_mean_after_it() -> None:
    ours = our_values(BackboneName.RESNET18, heads=False)
    ours["conv1_conv/bias"] = np.array([0.5, -2], np.float32)
    between = Translation(
        dialect=dialects.DETECTRON2,
        shape=RESNETS[BackboneName.RESNET18],
        geometry=replace(KERAS, norm_epsilon=1e-5),
        body="",
    )
    theirs = between.their_backbone(ours)
    expected = ours["conv1_bn/moving_mean"] - ours["conv1_conv/bias"]
    np.testing.assert_array_equal(theirs["stem.conv1.norm.running_mean"], expected)
