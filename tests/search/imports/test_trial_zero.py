"""What trial 0 has where theirs breaks a rule of `Hyperparameters`, computed by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from detector.config import STRIDES_PX, Canvas, ConfigError
from search.imports.formats.detectron2 import read_detectron2
from search.imports.imported import Imported, Resize
from search.imports.levels import on_our_levels
from search.imports.their_canvas import anchor_scale, their_canvas
from search.imports.trial_zero import trial_zero
from search.imports.wish import Wish

BASE = read_detectron2("_BASE_: Base-RCNN-FPN.yaml\n", Path("base.yaml"), gpus=1, images=100)


def with_wishes(**values: object) -> Imported:
    return replace(BASE, **{name: Wish(value=value, key=name, line=1) for name, value in values.items()})


def test_a_warm_up_beyond_the_end_is_cut_where_training_ends():
    # 1,000 iterations of warm-up from 0.1 × 0.02, of which 250 are trained: 0.02 · (0.1 + 0.9 / 4) = 0.0065
    trial = trial_zero(with_wishes(warmup_iterations=1000.0, iterations=250.0, warmup_factor=0.1, milestones=(200.0,)))
    own = trial.hyperparameters
    assert own.lr_per_16 == pytest.approx(0.0065 * 0.1)  # the drop at 200 comes while it still warms up: × 0.1
    assert own.warmup_fraction == 1.0
    assert own.warmup_factor == pytest.approx(0.1 / 0.325)
    assert own.decay_boundaries == ()
    assert [each.theirs.key for each in trial.substitutions] == ["warmup_iterations", "milestones"]


def test_drops_beyond_the_end_never_come():
    own = trial_zero(with_wishes(milestones=(45_000.0, 90_000.0, 120_000.0))).hyperparameters
    assert own.decay_boundaries == (0.5,)


def test_crossed_thresholds_are_exchanged_and_said():
    trial = trial_zero(with_wishes(rpn_negative_iou=0.7, rpn_positive_iou=0.3))
    assert (trial.hyperparameters.rpn_negative_iou, trial.hyperparameters.rpn_positive_iou) == (0.3, 0.7)
    assert "trial 0 has them exchanged" in trial.substitutions[0].message


def test_a_rate_of_nothing_becomes_one_that_moves_nothing():
    trial = trial_zero(with_wishes(learning_rate=0.0))
    assert 0 < trial.hyperparameters.learning_rate < 1e-11
    assert "a rate of 0 moves nothing" in trial.substitutions[0].message


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"learning_rate": -0.1}, "a learning rate, from 0"),
        ({"batch_size": 0}, "images of one batch, from 1 to 1024"),
        ({"iterations": 0.0}, "iterations, from 1"),
        ({"decay_factor": 0.0}, "the factor of a drop"),
        ({"ratios": (0.5, -1.0)}, "a ratio"),
        ({"sizes_px": ((0.0,),) * 5}, "pixels of an anchor"),
        ({"sizes_px": ((8.0,) * 30,) * 5}, "90 anchors a cell"),
    ],
)
def test_what_no_training_can_have_is_refused_with_its_key(wish, message):
    with pytest.raises(ConfigError, match=message):
        trial_zero(with_wishes(**wish))


def test_the_rate_is_that_of_their_batch():
    own = trial_zero(with_wishes(learning_rate=0.02, batch_size=2)).hyperparameters
    assert own.lr_per_16 == 0.16
    assert own.learning_rate == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("sizes", "strides", "expected"),
    [
        # as they are, where the levels are ours
        (((8,), (16,), (32,), (64,), (128,)), STRIDES_PX, ((8,), (16,), (32,), (64,), (128,))),
        # one map: 128 px → log2(128 / 8) = 4, 256 → 5, 512 → 6; below them the nearest again
        (((128, 256, 512),), (16,), ((128,), (128,), (128,), (256,), (512,))),
        # 10 px is nearest to level 2, which is the lowest; counts are made equal
        (((10, 40),), (16,), ((10, 40), (40, 40), (40, 40), (40, 40), (40, 40))),
        # unequal counts: the level's own size again that is nearest to its usual one (8 strides)
        (((20, 40), (64,), (128,), (256,), (512,)), STRIDES_PX,
         ((20, 40), (64, 64), (128, 128), (256, 256), (512, 512))),
    ],
)  # fmt: skip
def test_sizes_on_our_levels(sizes, strides, expected):
    assert on_our_levels(sizes, strides) == expected


def test_the_canvas_is_as_large_as_images_get_with_them():
    resize = Resize(short_px=(400, 600), most_long_px=1000)
    # 480 × 640: × min(600 / 480, 1000 / 640) = 1.25 → 600 × 800; to multiples of 32: 608 × 800
    assert their_canvas(resize, [(480, 640)] * 3) == Canvas(height_px=608, width_px=800)
    assert anchor_scale(resize, [(480, 640)], Canvas(height_px=608, width_px=800)) == 1
    # 320 × 416 holds it at min(320 / 480, 416 / 640) = 0.65, with them 1.25
    assert anchor_scale(resize, [(480, 640)], Canvas(height_px=320, width_px=416)) == pytest.approx(0.65 / 1.25)


def test_anchors_follow_the_images_onto_a_smaller_canvas():
    trial = trial_zero(BASE, scale=0.5)
    assert trial.hyperparameters.anchors.sizes_px[0] == (16.0,)
    assert "images are × 0.5 on the study's canvas" in trial.substitutions[0].message
