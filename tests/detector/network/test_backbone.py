"""Backbones: what is said of each agrees with the model that Keras builds."""

from collections import Counter

import keras
import pytest

from detector.config import BackboneName, Canvas
from detector.network.backbone import BACKBONES

CONVOLUTIONS = {
    BackboneName.RESNET50: {1: 1, 2: 10, 3: 13, 4: 19, 5: 10}
}  # by stage; a stage's first block has one more
CANVAS = Canvas(height_px=64, width_px=96)


def test_every_name_has_a_backbone_and_every_backbone_a_row_here():
    assert set(BACKBONES) == set(CONVOLUTIONS) == set(BackboneName)


@pytest.mark.parametrize("name", BackboneName)
def test_features_stages_and_branches_are_those_of_the_model(name):
    kind = BACKBONES[name]
    model = kind.build(CANVAS)
    assert [output.shape[1:] for output in model.outputs] == [
        (16, 24, 256), (8, 12, 512), (4, 6, 1024), (2, 3, 2048)
    ]  # fmt: skip
    assert Counter(kind.stage_of(v) for v in model.variables if v.name == "kernel") == CONVOLUTIONS[name]
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert sum(kind.closes_branch(norm.name) for norm in norms) == kind.branches


def test_residual_branches_of_resnet50_are_scaled_by_a_quarter():
    assert BACKBONES[BackboneName.RESNET50].residual_scale == 0.25  # 16 branches
