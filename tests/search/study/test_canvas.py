import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import Canvas, ConfigError
from search.study import canvas as canvas_module
from search.study.canvas import canvas_for, parse_canvas


@pytest.mark.parametrize("value", ["128x160", "128X160", "128×160", " 128 x 160 ", [128, 160], (128, 160)])
def test_a_canvas_is_height_then_width(value):
    assert parse_canvas(value) == Canvas(height_px=128, width_px=160)


@pytest.mark.parametrize("value", ["128", "128x", "1x2x3", "-32x32", [32], [32.0, 32], [True, 32], 32, None, {"h": 1}])
def test_what_is_no_canvas_is_refused(value):
    with pytest.raises(ConfigError):
        parse_canvas(value)


@pytest.mark.parametrize(
    ("sizes_px", "long_side_px", "canvas"),
    [
        pytest.param([(480, 640)], 512, (384, 512), id="512 · 3/4 = 384"),
        pytest.param([(640, 480)], 512, (512, 384), id="upright"),
        pytest.param([(100, 100)], 128, (128, 128), id="square"),
        pytest.param([(100, 100), (100, 200), (1, 100)], 256, (128, 256), id="the median of 1, 1/2 and 1/100"),
        pytest.param([(10, 1000)], 512, (32, 512), id="5 px become one multiple"),
        pytest.param([(10, 10)], 100, (96, 96), id="the long side is rounded too"),
    ],
)
def test_the_canvas_has_the_median_aspect_of_the_images(sizes_px, long_side_px, canvas):
    assert canvas_for(sizes_px, long_side_px) == Canvas(height_px=canvas[0], width_px=canvas[1])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)), min_size=1), st.integers(32, 2048))
def test_any_images_have_a_canvas_no_longer_than_asked_for(sizes_px, long_side_px):
    canvas = canvas_for(sizes_px, long_side_px)
    assert max(canvas.height_px, canvas.width_px) <= long_side_px + 16


@pytest.mark.parametrize("sizes_px", [[], [(0, 10)]])
def test_no_images_have_no_canvas(sizes_px):
    with pytest.raises(ConfigError):
        canvas_for(sizes_px, 512)


@pytest.mark.parametrize(("accelerator", "long_side_px"), [(False, 256), (True, 512)])
def test_the_usual_long_side_is_smaller_where_there_is_no_accelerator(tmp_path, monkeypatch, accelerator, long_side_px):
    monkeypatch.setattr(canvas_module, "ACCELERATORS", (tmp_path / "no", tmp_path if accelerator else tmp_path / "nor"))
    assert canvas_for([(64, 64)]) == Canvas(height_px=long_side_px, width_px=long_side_px)
