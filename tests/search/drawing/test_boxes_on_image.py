import io

import numpy as np
import pytest
from PIL import Image as Pillow

from detector.config import Canvas
from detector.data.dataset import load_dataset
from detector.data.layout import find_sources
from search.drawing.boxes_on_image import TITLE_PX, BoxesOnImage

CANVAS = Canvas(height_px=96, width_px=128)
BOX = np.array([[10.0, 20.0, 40.0, 60.0]])
RED = (255, 0, 0)


@pytest.fixture
def picture(sample):
    train, _ = find_sources(sample)
    return BoxesOnImage(load_dataset(train).images[0], CANVAS, long_side_px=256)  # twice the canvas


def pixels(picture, **options):
    return np.asarray(Pillow.open(io.BytesIO(picture.png(**options))).convert("RGB"))


def red_of(array):
    return (array == RED).all(axis=2)


def test_sides_lie_where_the_canvas_has_them_times_the_scale(picture):
    picture.outline(BOX, "red", width_px=2)
    red = red_of(pixels(picture))
    assert red.shape == (192, 256)
    rows, columns = np.nonzero(red)
    assert (rows.min(), columns.min(), rows.max(), columns.max()) == (20, 40, 80, 120)
    assert red[20, 40:121].all()
    assert not red[25:75, 45:115].any()


def test_dashes_and_gaps_are_of_the_same_length(picture):
    picture.outline(BOX, "red", dashed=True)
    assert red_of(pixels(picture))[20, 47:121].mean() == pytest.approx(0.5, abs=0.1)


def test_a_title_stands_above_the_image_and_hides_none_of_it(picture):
    plain, titled = pixels(picture), pixels(picture, title="worst")
    assert (titled[TITLE_PX:] == plain).all()
    assert (titled[:TITLE_PX] == 255).any()


def test_a_label_stands_within_the_corner_of_its_box(picture):
    before = pixels(picture)
    picture.label(BOX, ["0.64"])
    rows, columns = np.nonzero((pixels(picture) != before).any(axis=2))
    assert rows.min() >= 20
    assert columns.min() >= 40
    assert rows.max() < 50


def test_labels_of_boxes_on_one_spot_stand_below_each_other(picture):
    before = pixels(picture)
    picture.label(BOX, ["cell"])
    alone = (pixels(picture) != before).any(axis=2)
    picture.label(np.repeat(BOX, 2, axis=0), ["cell", "cell"])
    both = (pixels(picture) != before).any(axis=2)
    assert both.sum() == pytest.approx(2 * alone.sum(), rel=0.1)


def test_a_label_at_the_border_stays_in_the_picture(picture):
    before = pixels(picture)
    picture.label(np.array([[90.0, 120.0, 96.0, 128.0]]), ["Blutplättchen 0.71"])
    rows, columns = np.nonzero((pixels(picture) != before).any(axis=2))
    assert columns.min() > 0
    assert columns.max() < 255
    assert rows.max() < 191
