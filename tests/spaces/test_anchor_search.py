import numpy as np
import pytest

from detector.config import Anchors, Canvas, ConfigError
from spaces.anchor_fit import CanvasBoxes, best_ious
from spaces.anchor_search import derive_anchors, score_of
from spaces.faster_rcnn import ANCHOR_PARAMETERS, Space, anchors_of
from spaces.section import parse

CANVAS = Canvas(height_px=256, width_px=256)


def drawn(sizes_px, ratios, *, count=300, seed=0):
    """Boxes of these sizes and ratios, each 5 % off, anywhere on the canvas."""
    random = np.random.default_rng(seed)
    size = random.choice(sizes_px, count) * np.exp(random.normal(0, 0.05, count))
    root = np.sqrt(random.choice(ratios, count) * np.exp(random.normal(0, 0.05, count)))
    lengths = np.stack([size * root, size / root], axis=1)
    low = random.random((count, 2)) * (256 - lengths)
    return CanvasBoxes(
        canvas=CANVAS,
        boxes=np.concatenate([low, low + lengths], axis=1),
        labels=np.zeros(count, np.int64),
        areas=np.ones(count),
        images=np.arange(count),
        image_count=count,
        classes=("a",),
    )


@pytest.mark.parametrize(
    ("ious", "score"), [([0.2, 0.3], 0.0), ([0.7, 0.9], 1.0), ([0.4, 0.6], (0.25 + 0.75) / 2), ([0.5], 0.5)]
)
def test_the_score_is_a_ramp_between_the_thresholds_of_the_rpn(ious, score):
    assert score_of(np.array(ious)) == pytest.approx(score)


@pytest.mark.parametrize(
    ("sizes_px", "ratios"),
    [
        pytest.param((12.0,), (1.0,), id="small squares"),
        pytest.param((20.0, 150.0), (3.5,), id="tall, two sizes"),
        pytest.param((24.0,), (0.3, 3.0), id="lying and standing"),
    ],
)
def test_derived_anchors_fit_better_than_the_defaults_and_are_a_point_of_the_space(sizes_px, ratios):
    data, space = drawn(sizes_px, ratios), Space.default()
    derived = derive_anchors(space, data)
    default_score = score_of(best_ious(data.boxes, Anchors(), CANVAS))
    assert derived.score > default_score + 0.1
    assert derived.score > 0.75
    point = space.nearest(derived.values)
    assert {name: point[name] for name in ANCHOR_PARAMETERS if name in point} == derived.values
    assert space.configuration(point).anchors == derived.anchors == anchors_of(derived.values)


def test_one_shape_is_enough_for_boxes_of_one_shape():
    assert derive_anchors(Space.default(), drawn((32.0, 64.0, 128.0), (2.0,))).anchors.per_cell == 1


def test_the_same_seed_gives_the_same_anchors():
    data = drawn((20.0, 30.0), (1.0,), count=60)
    assert derive_anchors(Space.default(), data, seed=3) == derive_anchors(Space.default(), data, seed=3)


def test_a_narrowed_space_is_respected():
    space = parse({"anchor_base": [4, 8], "anchor_scales": 2, "anchor_ratios": {"low": 3, "high": 5}})
    derived = derive_anchors(space, drawn((20.0, 30.0), (1.0,), count=60))
    assert derived.values["anchor_base"] in (4, 8)
    assert "anchor_scales" not in derived.values  # fixed: the sampler never hears of it
    assert len(derived.anchors.sizes_px[0]) == 2
    assert space.configuration(space.nearest(derived.values)).anchors == derived.anchors


def test_explicit_anchors_and_missing_boxes_leave_nothing_to_derive():
    explicit = parse({"anchors": {"sizes_px": [32], "ratios": [1]}})
    with pytest.raises(ConfigError, match=r"remove space\.anchors"):
        derive_anchors(explicit, drawn((20.0,), (1.0,), count=5))
    with pytest.raises(ConfigError, match="there is none"):
        derive_anchors(Space.default(), drawn((20.0,), (1.0,), count=0))
