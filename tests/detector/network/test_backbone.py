"""Backbones: what is said of each agrees with the model that is built, and with keras.applications where it has one."""

from collections import Counter

import keras
import numpy as np
import pytest

from detector.config import BackboneName, Canvas, ConfigError, Detector
from detector.geometry import KERAS, MSRA, TORCHVISION
from detector.network.backbone import BACKBONES, backbone_of
from detector.network.weights import reseed

CONVOLUTIONS = {  # by stage; where a stage's first block changes the map it has one more
    BackboneName.RESNET18: {1: 1, 2: 4, 3: 5, 4: 5, 5: 5},
    BackboneName.RESNET34: {1: 1, 2: 6, 3: 9, 4: 13, 5: 7},
    BackboneName.RESNET50: {1: 1, 2: 10, 3: 13, 4: 19, 5: 10},
    BackboneName.RESNET101: {1: 1, 2: 10, 3: 13, 4: 70, 5: 10},
}
CANVAS = Canvas(height_px=64, width_px=96)


def test_every_name_has_a_backbone_and_every_backbone_a_row_here():
    assert set(BACKBONES) == set(CONVOLUTIONS) == set(BackboneName)


@pytest.mark.parametrize("geometry", [KERAS, TORCHVISION])
@pytest.mark.parametrize("name", BackboneName)
def test_features_stages_and_branches_are_those_of_the_model(name, geometry):
    kind = backbone_of(name, geometry)
    model = kind.build(CANVAS)
    share = 4 if kind.shape.bottleneck else 1
    assert [output.shape[1:] for output in model.outputs] == [
        (16, 24, 64 * share), (8, 12, 128 * share), (4, 6, 256 * share), (2, 3, 512 * share)
    ]  # fmt: skip
    assert Counter(kind.stage_of(v) for v in model.variables if v.name == "kernel") == CONVOLUTIONS[name]
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert sum(kind.closes_branch(norm.name) for norm in norms) == kind.branches
    assert {norm.epsilon for norm in norms} == {geometry.norm_epsilon}


def test_residual_branches_of_resnet50_are_scaled_by_a_quarter():
    assert BACKBONES[BackboneName.RESNET50].residual_scale == 0.25  # 16 branches


@pytest.mark.parametrize("name", [name for name, kind in BACKBONES.items() if kind.application])
def test_layers_variables_and_features_are_those_of_keras_applications(name):
    kind = BACKBONES[name]
    ours = kind.build(CANVAS)
    whole = kind.application(include_top=False, weights=None, input_shape=(64, 96, 3))
    ends = [f"conv{stage}_block{count}_out" for stage, count in enumerate(kind.shape.blocks, start=2)]
    theirs = keras.Model(whole.input, [whole.get_layer(end).output for end in ends])
    assert [layer.name for layer in ours.layers[1:]] == [layer.name for layer in theirs.layers[1:]]
    assert [(v.path, v.shape) for v in ours.variables] == [(v.path, v.shape) for v in theirs.variables]
    for model in (ours, theirs):
        reseed(model, 3)  # by the order of layers: what a seed drew it draws again
    images = np.random.default_rng(0).random((1, 64, 96, 3), np.float32)
    for mine, other in zip(ours(images), theirs(images), strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(other))


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        (KERAS, (30 - 103.939, 20 - 116.779, 10 - 123.68)),
        (MSRA, (30 - 103.53, 20 - 116.28, 30 - 20 - 123.675)),
        (TORCHVISION, ((10 / 255 - 0.485) / 0.229, (20 / 255 - 0.456) / 0.224, (30 / 255 - 0.406) / 0.225)),
    ],
)
def test_pixels_are_what_the_weights_were_trained_on(geometry, expected):
    red_green_blue = np.array([10, 20, 30], np.float32).reshape(1, 1, 1, 3)
    seen = backbone_of(BackboneName.RESNET50, geometry).preprocess(red_green_blue)
    np.testing.assert_allclose(np.asarray(seen)[0, 0, 0], expected, rtol=1e-6)


def test_imagenet_weights_that_keras_does_not_have_are_refused_with_what_to_give_instead():
    with pytest.raises(ConfigError, match=r"no imagenet weights of a resnet18 to fetch: .*give torchvision's"):
        Detector(canvas=CANVAS, backbone=BackboneName.RESNET18, weights="imagenet")
