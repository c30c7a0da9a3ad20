"""The graph's resize is Pillow's, to the bit."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from detector.config import Canvas
from detector.data.dataset import unannotated
from detector.data.image_cache import place_on_canvas
from detector.data.image_file import read_rgb
from detector.training.graphs.detection_graph import on_canvas
from detector.training.graphs.pillow_resize import resize

SIDES = st.integers(1, 300)
_COMPILED = tf.function(
    resize, input_signature=[tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([2], tf.int32)], autograph=False
)


def picture(height: int, width: int, seed: int, *, hard: bool) -> np.ndarray:
    """Random colours; hard ones are black or white, which overshoot where weights do not sum to one."""
    colours = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.where(colours > 127, np.uint8(255), np.uint8(0)) if hard else colours


@given(SIDES, SIDES, st.integers(1, 120), st.integers(1, 120), st.integers(0, 2**31), st.booleans())
@settings(max_examples=150)
@example(1, 1, 1, 1, 0, False)
@example(1, 1, 96, 128, 0, False)
@example(300, 300, 300, 300, 0, False)  # nothing to do
@example(299, 7, 74, 7, 0, True)  # just below a factor of 4, where nothing is reduced first
@example(300, 100, 60, 30, 0, False)  # blocks of 2 × 1, and tall
@example(300, 100, 90, 30, 0, False)  # tall: the columns go first
@example(97, 293, 5, 13, 0, True)  # blocks that do not divide the sides
def test_every_pixel_is_what_pillow_makes_of_it(
    height: int, width: int, new_height: int, new_width: int, seed: int, hard: bool
) -> None:
    pixels = picture(height, width, seed, hard=hard)
    expected = Pillow.fromarray(pixels).resize(
        (new_width, new_height), Pillow.Resampling.BILINEAR, box=(0, 0, width, height), reducing_gap=2.0
    )
    found = _COMPILED(pixels, np.array([new_height, new_width], np.int32)).numpy()
    np.testing.assert_array_equal(found, np.asarray(expected))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_exif_turns_differs_by_a_grey_level_at_most(orientation: int, tmp_path: Path) -> None:
    """It is scaled as it is stored and then turned, and whoever has an upright one cannot know in which order."""
    exif = Pillow.Exif()
    exif[274] = orientation
    Pillow.fromarray(picture(70, 110, 1, hard=False)).save(tmp_path / "turned.jpg", exif=exif)
    image = unannotated(tmp_path / "turned.jpg", 1)
    upright = read_rgb(image.path, height_px=image.height_px, width_px=image.width_px)
    assert upright.shape[:2] == ((110, 70) if orientation > 4 else (70, 110))
    canvas = Canvas(height_px=64, width_px=64)
    difference = np.abs(on_canvas(tf.constant(upright), canvas)[0].numpy() - place_on_canvas(image, canvas))
    assert difference.max() <= 1
    if orientation == 1:
        assert difference.max() == 0


@pytest.mark.parametrize(
    ("height", "width", "extent", "scale"),
    [
        pytest.param(40, 64, (80.0, 128.0), 2.0, id="enlarged until the width fits: min(96 / 40, 128 / 64)"),
        pytest.param(192, 60, (96.0, 30.0), 0.5, id="reduced until the height fits: min(96 / 192, 128 / 60)"),
        pytest.param(1, 1280, (0.1, 128.0), 0.1, id="a line keeps one row"),
    ],
)
def test_a_picture_lies_in_the_corner_and_the_rest_is_padding(
    height: int, width: int, extent: tuple[float, float], scale: float
) -> None:
    white = np.full((height, width, 3), 255, np.uint8)
    placed, covered, scaled_by = on_canvas(tf.constant(white), Canvas(height_px=96, width_px=128))
    assert placed.shape == (96, 128, 3)
    np.testing.assert_allclose(covered, extent, rtol=1e-6)
    assert float(scaled_by) == pytest.approx(scale)
    rows, columns = (max(1, round(side)) for side in extent)
    assert (placed.numpy()[:rows, :columns] == 255).all()
    assert (placed.numpy()[rows:] == (124, 116, 104)).all()
    assert (placed.numpy()[:, columns:] == (124, 116, 104)).all()
