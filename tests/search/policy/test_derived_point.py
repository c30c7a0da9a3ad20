from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from detector.config import Canvas
from detector.weight_files.starting_point import BACKBONE, SCRATCH, Given, StartingPoint
from search.policy import derived_point
from search.policy.derived_point import derived_anchors, derived_start
from spaces.anchor_fit import CanvasBoxes
from spaces.anchor_search import derive_anchors
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Fixed, Float, Int

SPACE = Space.default()
DETECTOR = StartingPoint(given=Given.DETECTOR)
NO_ADAM = SPACE.replaced({"optimizer": Fixed(value="sgd")})


def test_from_scratch_trial_1_begins_with_adam_in_the_smallest_batches():
    assert derived_start(SPACE, start=SCRATCH) == {
        "optimizer": "adam",
        "batch_size": 4,
        "adam_lr_per_16": 0.001,
    }
    assert derived_start(SPACE, start=BACKBONE) == {}


@pytest.mark.parametrize(("batch_size", "rate"), [(Fixed(value=16), 0.0005), (Int(low=1, high=2), 0.002)])
def test_its_rate_follows_the_square_root_of_the_batch(batch_size, rate):
    """On the linear scale that is 1 / √batch: Adam's 0.00025 at 4 images, 0.0005 at 16."""
    assert derived_start(SPACE.replaced({"batch_size": batch_size}), start=SCRATCH)["adam_lr_per_16"] == rate


def test_what_the_study_fixes_is_not_proposed():
    fixed = SPACE.replaced({"optimizer": Fixed(value="adam"), "batch_size": Fixed(value=4)})
    assert derived_start(fixed, start=SCRATCH) == {"adam_lr_per_16": 0.001}


def test_without_adam_it_begins_in_the_middle_of_the_safe_rates_of_sgd():
    assert derived_start(NO_ADAM, start=SCRATCH) == {"lr_per_16": 0.002}  # √(0.0002 · 0.02)


@pytest.mark.parametrize(
    ("space", "parameters"),
    [
        pytest.param(NO_ADAM, {"lr_per_16": Fixed(value=0.01)}, id="fixed"),
        pytest.param(NO_ADAM, {"lr_per_16": Categorical(values=(0.01, 0.02))}, id="listed"),
        pytest.param(NO_ADAM, {"lr_per_16": Float(low=0.01, high=0.1, log=True)}, id="all above"),
        pytest.param(SPACE, {"adam_lr_per_16": Float(low=1e-5, high=1e-4, log=True)}, id="all below"),
    ],
)
def test_trial_1_keeps_to_the_rates_of_the_study(space, parameters):
    assert derived_start(space.replaced(parameters), start=SCRATCH) == {}


@pytest.mark.parametrize("start", [SCRATCH, BACKBONE, DETECTOR])
def test_the_start_is_a_point_of_the_space(start):
    values = derived_start(SPACE, start=start)
    assert values.items() <= SPACE.nearest(values).items()


def test_a_whole_detector_is_trained_further_in_small_batches_by_adam_if_there_is_any():
    assert derived_start(SPACE, start=DETECTOR) == derived_start(SPACE, start=SCRATCH)  # Adam
    assert derived_start(NO_ADAM, start=DETECTOR) == {"batch_size": 4, "lr_per_16": 0.01}
    adam = SPACE.replaced({"optimizer": Fixed(value="adam")})
    assert derived_start(adam, start=DETECTOR) == {"batch_size": 4, "adam_lr_per_16": 0.001}


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The seeds of the searches for anchors that were carried out."""
    seeds: list[int] = []

    def noted(space: Space, boxes: CanvasBoxes, *, seed: int):
        seeds.append(seed)
        return derive_anchors(space, boxes, seed=seed)

    derived_point._derived.cache_clear()
    monkeypatch.setattr(derived_point, "derive_anchors", noted)
    yield seeds
    derived_point._derived.cache_clear()


def one_box(side_px: float) -> CanvasBoxes:
    return CanvasBoxes(
        canvas=Canvas(height_px=64, width_px=96),
        boxes=np.array([[8.0, 8.0, 8.0 + side_px, 8.0 + side_px]]),
        labels=np.zeros(1, np.int64),
        areas=np.array([side_px**2]),
        images=np.zeros(1, np.int64),
        image_count=1,
        classes=("cat",),
    )


def test_anchors_are_searched_once_for_the_same_boxes_ranges_canvas_and_seed(searches):
    space = SPACE.replaced({"anchor_scales": Fixed(value=1), "anchor_ratios": Fixed(value=1)})
    first = derived_anchors(one_box(20.0), space, seed=5)
    assert first == derive_anchors(space, one_box(20.0), seed=5)
    expected = dict(first.values)
    first.values.clear()  # whoever asked may do with it what he likes
    assert derived_anchors(one_box(20.0), space.replaced({"momentum": Fixed(value=0.5)}), seed=5).values == expected
    assert searches == [5]

    wider = replace(one_box(20.0), canvas=Canvas(height_px=64, width_px=128))
    derived_anchors(one_box(21.0), space, seed=5)
    derived_anchors(wider, space, seed=5)
    derived_anchors(one_box(20.0), space.replaced({"anchor_base": Fixed(value=9.0)}), seed=5)
    derived_anchors(one_box(20.0), space, seed=6)
    assert searches == [5, 5, 5, 5, 6]
