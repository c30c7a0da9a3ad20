import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import Canvas
from search.doctor.anchor_advice import AROUND, _around, advise, check_anchors, proposed_space
from spaces.anchor_fit import CanvasBoxes
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Fixed, Float, Int
from spaces.section import parse, write_parameter

NARROW = {"anchor_scales": [1, 2], "anchor_ratios": 1}


def squares(size_px, *, count=40, canvas=256, seed=0):
    random = np.random.default_rng(seed)
    low = random.random((count, 2)) * (canvas - size_px)
    return CanvasBoxes(
        canvas=Canvas(height_px=canvas, width_px=canvas),
        boxes=np.concatenate([low, low + size_px], axis=1),
        labels=np.zeros(count, np.int64),
        areas=np.full(count, float(size_px**2)),
        images=np.arange(count),
        image_count=count,
        classes=("a",),
    )


def found(boxes, space):
    return {diagnostic.name: diagnostic for diagnostic in check_anchors(advise(boxes, space, seed=0), space, seed=0)}


@settings(max_examples=12, deadline=None)
@given(size_px=st.floats(6, 200), seed=st.integers(0, 2**16))
def test_the_proposed_space_is_valid_and_holds_the_derived_anchors(size_px, seed):
    space = parse(NARROW)
    advice = advise(squares(size_px), space, seed=seed)
    section = {name: write_parameter(parameter) for name, parameter in proposed_space(advice, space).items()}
    narrowed = parse(section, space)
    for name, value in advice.best.values.items():
        assert narrowed.parameters[name].contains(value)
    base, derived = narrowed.parameters["anchor_base"], advice.best.values["anchor_base"]
    assert base.low == pytest.approx(min(derived / AROUND, 8.0), rel=0.01)  # 8 is Detectron2's
    assert base.high == pytest.approx(max(derived * AROUND, 8.0), rel=0.01)
    assert narrowed.reference() == space.reference()  # trial 0 stays what it was
    assert narrowed.parameters["anchor_ratios"] == Fixed(value=1)  # the user's, and so it stays


@pytest.mark.parametrize(
    ("name", "value", "own", "expected"),
    [
        pytest.param("anchor_scales", 1, Int(low=1, high=3), Int(low=1, high=2), id="never none"),
        pytest.param("anchor_scales", 6, Int(low=1, high=6), Int(low=1, high=6), id="never beyond the limit"),
        pytest.param("anchor_scales", 3, Int(low=2, high=4), Int(low=2, high=4), id="without the reference"),
        pytest.param("anchor_ratios", 5, Int(low=1, high=5, step=2), Int(low=3, high=7, step=2), id="odd numbers"),
        pytest.param("anchor_ratios", 4, Categorical(values=(2, 3, 4)), Int(low=2, high=6, step=2), id="even numbers"),
        pytest.param("anchor_base", 0.6, Float(low=0.5, high=4), Float(low=0.5, high=0.9, log=True), id="at the limit"),
    ],
)
def test_a_proposed_range_reaches_around_the_value(name, value, own, expected):
    found = _around(name, value, own)
    assert type(found) is type(expected)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_anchors_that_the_study_names_leave_nothing_to_propose():
    space = parse({"anchors": {"sizes_px": [32], "ratios": [1]}})
    advice = advise(squares(32), space, seed=0)
    assert set(advice.fitted) == {"reference", "study"}
    assert proposed_space(advice, space) == {}


def test_boxes_that_the_default_anchors_fit_bring_no_diagnostic():
    assert found(squares(64), Space.default().replaced(parse(NARROW).parameters)) == {}


def test_boxes_between_the_cells_need_a_larger_canvas_by_as_much_as_they_are_too_small():
    # 4 px squares: on a grid of 4 px few reach an IoU of 0.5, whatever the anchors. To 16 px: 4 times the side.
    diagnostic = found(squares(4, canvas=128), parse(NARROW))["anchors-hopeless"]
    assert "set detector.canvas to 512x512: tried, and enough (16.0 times the work)" in (diagnostic.advice)


@pytest.mark.parametrize("size_px", [3, 5, 8])
def test_on_the_canvas_that_is_proposed_the_finding_is_gone(size_px):
    boxes, space = squares(size_px, canvas=128, count=60), parse(NARROW)
    before = found(boxes, space)
    told = {"anchors-hopeless", "canvas-too-small"} & set(before)
    assert told
    named = re.search(r"set detector\.canvas to (\d+)x", before[min(told)].advice)
    factor = int(named.group(1)) / 128
    larger = replace(boxes, canvas=Canvas(height_px=int(named.group(1)), width_px=int(named.group(1))))
    after = found(replace(larger, boxes=boxes.boxes * factor), space)
    assert not {"anchors-hopeless", "canvas-too-small"} & set(after)


def test_fixed_anchors_that_no_canvas_suits_are_not_answered_with_one():
    space = parse({"anchors": {"sizes_px": [6000], "ratios": [1]}})
    assert "cut the images into tiles" in found(squares(8, canvas=128), space)["anchors-hopeless"].advice


def test_a_canvas_beyond_reach_means_tiles():
    diagnostic = found(squares(4, canvas=1024), parse(NARROW))["anchors-hopeless"]
    assert "cut the images into tiles: no canvas of up to 1536 px a side is large enough" in diagnostic.advice
