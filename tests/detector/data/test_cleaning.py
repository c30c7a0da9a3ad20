import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detector.data.cleaning import clean_boxes, confusion
from detector.data_source import DataFormat

WIDTH, HEIGHT = 60, 40
SIZES = np.tile([[WIDTH, HEIGHT]], (10, 1)).astype(float)


@pytest.mark.parametrize(
    ("corners", "reason"),
    [
        pytest.param((10, 5, 30, 35), "", id="inside"),
        pytest.param((0, 0, 60, 40), "", id="the whole image"),
        pytest.param((10, 5, 10, 35), "no area", id="no width"),
        pytest.param((30, 5, 10, 35), "no area", id="x swapped"),
        pytest.param((10, 35, 30, 5), "no area", id="y swapped"),
        pytest.param((np.nan, 5, 30, 35), "not finite", id="nan"),
        pytest.param((10, 5, np.inf, 35), "not finite", id="infinite"),
        pytest.param((60, 5, 70, 35), "outside the image of 60 × 40 px", id="right of it"),
        pytest.param((-20, 5, 0, 35), "outside", id="left of it"),
        pytest.param((10, 40, 30, 50), "outside", id="below it"),
        pytest.param((10, 5, 11, 35), "not more than 1 px", id="one pixel wide"),
        pytest.param((10, 5, 11.5, 35), "", id="one and a half pixels wide"),
        pytest.param((-20, 5, 0.9, 35), "not more than 1 px", id="a sliver remains inside"),
    ],
)
def test_a_box_stays_or_is_dropped_for_a_reason(corners: tuple[float, ...], reason: str) -> None:
    cleaned = clean_boxes(np.array([corners], dtype=np.float64), width_px=WIDTH, height_px=HEIGHT)
    assert reason in cleaned.reasons[0]
    assert bool(cleaned.kept[0]) is (reason == "")


def test_boxes_beyond_the_image_are_clipped_and_marked() -> None:
    corners = np.array([[-3, -2, 30, 50], [1, 2, 3, 4]], dtype=np.float64)
    cleaned = clean_boxes(corners, width_px=WIDTH, height_px=HEIGHT)
    assert cleaned.corners.tolist() == [[0, 0, 30, 40], [1, 2, 3, 4]]
    assert cleaned.clipped.tolist() == [True, False]


def test_no_boxes_are_no_problem() -> None:
    cleaned = clean_boxes(np.zeros((0, 4)), width_px=WIDTH, height_px=HEIGHT)
    assert cleaned.corners.shape == (0, 4)
    assert cleaned.kept.shape == (0,)
    assert confusion(np.zeros((0, 4)), np.zeros((0, 2)), DataFormat.COCO) is None


@given(st.lists(st.tuples(*[st.floats(width=64)] * 4), max_size=8), st.integers(1, 5000), st.integers(1, 5000))
@example([(-1.7e308, 0.0, 1.7e308, 9.0), (float("inf"), float("-inf"), float("nan"), 1.0)], 60, 40)
def test_nothing_degenerate_is_kept(rows: list[tuple[float, ...]], width_px: int, height_px: int) -> None:
    corners = np.array(rows, dtype=np.float64).reshape(-1, 4)
    cleaned = clean_boxes(corners, width_px=width_px, height_px=height_px)
    kept = cleaned.corners[cleaned.kept]
    assert np.isfinite(kept).all()
    assert (kept[:, 2:] - kept[:, :2] > 1).all()
    assert (kept >= 0).all()
    assert (kept <= [width_px, height_px, width_px, height_px]).all()
    for file_format in DataFormat:
        confusion(corners, np.tile([[width_px, height_px]], (len(corners), 1)).astype(float), file_format)
    again = clean_boxes(kept, width_px=width_px, height_px=height_px)
    assert not again.clipped.any()
    assert np.array_equal(again.corners, kept)


@pytest.mark.parametrize(
    ("file_format", "meant", "hint"),
    [
        # x1, y1, x2, y2 = 30, 20, 50, 35 read as x, y, width, height ends at 80, 55: beyond 60 × 40
        pytest.param(DataFormat.COCO, (30, 20, 30 + 50, 20 + 35), "[x1, y1, x2, y2]", id="corners as sizes"),
        # x, y, width, height = 30, 20, 20, 15 read as corners: xmax 20 lies left of xmin 30
        pytest.param(DataFormat.VOC, (30, 20, 20, 15), "x, y, width, height", id="sizes as corners"),
        # x 2 … 30, y 45 … 59 fits a 60 × 40 image only when x and y change places
        pytest.param(DataFormat.VOC, (2, 45, 30, 59), "ymin, xmin, ymax, xmax", id="x and y swapped"),
        pytest.param(DataFormat.COCO, (0.2, 0.3, 0.5, 0.9), "normalised", id="normalised"),
        pytest.param(DataFormat.COCO, (-900, -900, -800, -800), "check the order and unit", id="no explanation"),
    ],
)
def test_mostly_wrong_boxes_are_explained(file_format: DataFormat, meant: tuple[float, ...], hint: str) -> None:
    corners = np.tile(np.array([meant], dtype=np.float64), (10, 1))
    found = confusion(corners, SIZES, file_format)
    assert found is not None
    assert "100% of the 10 boxes" in found
    assert hint in found


def test_a_few_wrong_boxes_are_not_called_a_confusion() -> None:
    good, bad = (10.0, 5.0, 30.0, 35.0), (-50.0, 5.0, -40.0, 35.0)
    assert confusion(np.array([good] * 6 + [bad] * 4), SIZES, DataFormat.COCO) is None
    assert confusion(np.array([good] * 4 + [bad] * 6), SIZES, DataFormat.COCO) is not None
