"""Recall of detections and AP at loose overlaps, worked out by hand."""

import math

import numpy as np
import pytest

from detector.data.metrics.average_precision import coco_metrics
from detector.data.metrics.early_figures import recall
from tests.detector.data.metrics.test_average_precision import HALF, ONE, TWO, _dataset, _found, _image

QUARTER = (10, 10, 50, 22)  # IoU with ONE: 40 · 12 / 1600 = 0.3


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], 0),
        ([ONE], 1 / 2),
        ([HALF, TWO], 1),  # 0.525 overlaps by half
        ([QUARTER], 0),
        ([(math.nan, 0, 5, 5), ONE], 1 / 2),
        ([ONE, ONE, HALF], 1 / 2),  # one object is found once
    ],
)
def test_an_object_is_found_where_a_box_overlaps_it_by_half(found, expected):
    assert recall([_image([ONE, TWO], [0, 1])], [boxes(*found)]) == expected


def test_crowds_are_no_objects_and_without_objects_there_is_no_share():
    assert recall([_image([ONE, TWO], [0, 0], crowd=[True, False])], [boxes(TWO)]) == 1
    assert math.isnan(recall([_image([], [])], [boxes(ONE)]))


def test_ap_at_loose_overlaps_counts_boxes_that_ap_does_not():
    figures = coco_metrics(_dataset(_image([ONE], [0])), [_found((QUARTER, 0.9, 0))])
    assert (figures["ap"], figures["ap_loose"]) == (0, pytest.approx(3 / 5))  # at 0.1, 0.2 and 0.3 of five
    assert coco_metrics(_dataset(_image([ONE], [0])), [_found((ONE, 0.9, 0))])["ap_loose"] == pytest.approx(1)
