"""A configuration's point is the one it was made from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config import Anchors, Augmentation, Hyperparameters
from spaces.faster_rcnn import Space
from spaces.parameters import at_share
from spaces.point import parameters_of

SPACE = Space.default()


@given(st.lists(st.floats(0, 1), min_size=40, max_size=40))
def test_every_point_of_the_default_space_comes_back_from_its_configuration(shares):
    wanted = {name: at_share(p, share) for (name, p), share in zip(SPACE.parameters.items(), shares, strict=False)}
    made = SPACE.configuration(SPACE.nearest(wanted))
    again = SPACE.configuration(SPACE.nearest(parameters_of(made)))
    assert again.decay_boundaries == pytest.approx(made.decay_boundaries)
    assert again.lr_per_16 == pytest.approx(made.lr_per_16)
    assert again.anchors.ratios == pytest.approx(made.anchors.ratios)
    for own, level in zip(again.anchors.sizes_px, made.anchors.sizes_px, strict=True):
        assert own == pytest.approx(level)
    assert again.augmentation.scale == pytest.approx(made.augmentation.scale)
    for name in (
        "optimizer",
        "momentum",
        "weight_decay",
        "clip_norm",
        "batch_size",
        "warmup_fraction",
        "rpn_lr_factor",
    ):
        assert getattr(again, name) == getattr(made, name)


def test_what_lies_outside_of_the_space_keeps_its_value():
    point = parameters_of(Hyperparameters(lr_per_16=5.0, batch_size=2))
    assert (point["lr_per_16"], point["batch_size"]) == (5.0, 2)
    nearest = SPACE.nearest(point)
    assert (nearest["lr_per_16"], nearest["batch_size"]) == (0.1, 4)


def test_sizes_that_grow_unevenly_have_the_mean_base():
    # in strides of 4 … 64: 4, 4, 4, 4 and 64 → (4 · 4 · 4 · 4 · 64)^(1/5) = 2^(14/5)
    anchors = Anchors(sizes_px=((16.0,), (32.0,), (64.0,), (128.0,), (4096.0,)))
    assert parameters_of(Hyperparameters(anchors=anchors))["anchor_base"] == pytest.approx(2**2.8)


def test_flips_alone_are_the_weakest_augmentation_that_has_them():
    assert parameters_of(Hyperparameters(augmentation=Augmentation()))["augmentation"] == 0.1
    assert parameters_of(Hyperparameters(augmentation=Augmentation(flip_probability=0)))["augmentation"] == 0
