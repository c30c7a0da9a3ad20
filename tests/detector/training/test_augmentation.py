import math

import numpy as np
import pytest
from keras import ops

from detector.config import Augmentation
from detector.data.image_file import PADDING_RGB
from detector.training.augmentation import FIELDS, augment, pack_ranges

NOTHING = dict.fromkeys(FIELDS, 0.0)
HEIGHT, WIDTH = 48, 64


def augmented(
    images: np.ndarray,
    boxes: np.ndarray | None = None,
    extents: np.ndarray | None = None,
    *,
    seed: int = 1,
    index: np.ndarray | None = None,
    **ranges: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    count = len(images)
    boxes = np.tile(np.array([[4, 6, 20, 30]], np.float32), (count, 1, 1)) if boxes is None else boxes
    extents = np.tile(np.array([HEIGHT, WIDTH], np.float32), (count, 1)) if extents is None else extents
    packed = pack_ranges(Augmentation(**{**NOTHING, **ranges}))
    index = np.arange(count) if index is None else index
    valid = (boxes != 0).any(axis=-1)
    found = augment(images, boxes, valid, extents, ranges=packed, seed=seed, index=index)
    return tuple(ops.convert_to_numpy(value) for value in found)


def noise(count: int, seed: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)


def ellipses(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Black canvases with one white ellipse each, and the box around it."""
    rng = np.random.default_rng(21)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    images, boxes = np.zeros((count, HEIGHT, WIDTH, 3), np.uint8), np.zeros((count, 2, 4), np.float32)
    for image in range(count):
        half = rng.uniform(5, 11, 2)
        centre = rng.uniform(half, np.array([HEIGHT, WIDTH]) - half)
        images[image][((y - centre[0]) / half[0]) ** 2 + ((x - centre[1]) / half[1]) ** 2 <= 1] = 255
        boxes[image, 0] = (*(centre - half), *(centre + half))
    return images, boxes


def test_ranges_are_packed_in_the_order_of_the_fields() -> None:
    packed = pack_ranges(Augmentation(flip_probability=0.1, scale=0.2, hue=0.3, visible_share=0.4))
    assert packed.dtype == np.float32
    assert packed.tolist() == pytest.approx([0.1, 0.2, 0, 0, 0, 0, 0.3, 0, 0.4])


@pytest.mark.parametrize("extent", [(HEIGHT, WIDTH), (31.0, 50.0), (30.6, 49.5), (30.4, 50.5)])
def test_zero_ranges_return_the_picture_and_the_boxes_exactly(extent: tuple[float, float]) -> None:
    images = noise(3)
    images[:, round(extent[0]) :] = PADDING_RGB
    images[:, :, round(extent[1]) :] = PADDING_RGB
    boxes = np.array([[[3.3, 4.7, 20.123, 30.456], [0, 0, 0, 0]]] * 3, np.float32)
    extents = np.array([extent] * 3, np.float32)
    pictures, moved, valid, covered = augmented(images, boxes, extents)
    assert pictures.dtype == np.float32
    np.testing.assert_array_equal(pictures, images)
    np.testing.assert_array_equal(moved, boxes)
    np.testing.assert_array_equal(covered, extents)
    assert valid.tolist() == [[True, False]] * 3


def test_a_flip_mirrors_the_picture_within_its_extent() -> None:
    images = noise(2)
    extents = np.array([[40, 50], [HEIGHT, WIDTH]], np.float32)
    boxes = np.array([[[4, 6, 20, 30]], [[4, 6, 20, 30]]], np.float32)
    pictures, moved, _, covered = augmented(images, boxes, extents, flip_probability=1.0)
    np.testing.assert_array_equal(pictures[0, :40, :50], images[0, :40, 49::-1])
    np.testing.assert_array_equal(pictures[0, 40:], np.broadcast_to(PADDING_RGB, (8, WIDTH, 3)))
    np.testing.assert_array_equal(pictures[1], images[1, :, ::-1])
    assert moved[:, 0].tolist() == [[4, 50 - 30, 20, 50 - 6], [4, WIDTH - 30, 20, WIDTH - 6]]
    np.testing.assert_array_equal(covered, extents)


def test_half_of_the_images_are_flipped_at_probability_one_half() -> None:
    images = np.tile(noise(1), (1000, 1, 1, 1))[:, :, :, :]
    _, moved, _, _ = augmented(images, flip_probability=0.5)
    flips = (moved[:, 0, 1] == WIDTH - 30).sum()
    assert abs(flips - 500) < 5 * math.sqrt(250)


@pytest.mark.parametrize("ranges", [{"rotation_deg": 45.0}, {"scale": 0.5, "crop": 0.1, "flip_probability": 0.5}])
def test_pixels_are_those_of_the_slow_reference(ranges: dict[str, float]) -> None:
    """The map is recovered from how three tiny boxes move; then every pixel is looked up in a plain loop."""
    images = noise(4, seed=22)
    marks = np.array([[20, 20], [20, 40], [30, 20]], np.float32)
    boxes = np.tile(np.concatenate([marks - 1, marks + 1], axis=-1), (4, 1, 1))
    pictures, moved, _, _ = augmented(images, boxes, seed=5, **ranges)
    checked = 0
    for image in range(4):
        if (moved[image] <= 0).any() or (moved[image, :, 2:] >= (HEIGHT, WIDTH)).any():
            continue
        at = (moved[image, :, :2] + moved[image, :, 2:]) / 2
        forward = np.stack([(at[2] - at[0]) / 10, (at[1] - at[0]) / 20], axis=1)  # columns: a step in y, a step in x
        for row, column in np.ndindex(HEIGHT, WIDTH):
            y, x = np.linalg.solve(forward, np.array([row + 0.5, column + 0.5]) - at[0]) + marks[0] - 0.5
            if min(y, x) < 0.01 or y > HEIGHT - 1.01 or x > WIDTH - 1.01:
                continue
            top, left = int(y), int(x)
            corners = images[image, top : top + 2, left : left + 2].astype(float)
            by_row = corners[0] * (1 - (y - top)) + corners[1] * (y - top)
            expected = by_row[0] * (1 - (x - left)) + by_row[1] * (x - left)
            np.testing.assert_allclose(pictures[image, row, column], expected, atol=0.5)
            checked += 1
    assert checked > 1000


def test_boxes_stay_around_their_shapes() -> None:
    images, boxes = ellipses(200)
    ranges = {"flip_probability": 0.5, "scale": 0.4, "crop": 0.2, "rotation_deg": 30.0}
    pictures, moved, valid, covered = augmented(images, boxes, **ranges)
    checked = 0
    for picture, box, shown, extent in zip(pictures, moved[:, 0], valid[:, 0], covered, strict=True):
        bright = np.argwhere((picture > 200).all(axis=-1))
        if not shown:
            continue
        low, high = bright.min(axis=0), bright.max(axis=0) + 1
        assert (low >= np.floor(box[:2]) - 1).all()
        assert (high <= np.ceil(box[2:]) + 1).all()
        assert (box[2:] <= extent + 1e-3).all()
        # an ellipse turned by 30° fills at least cos 30° + sin 30° · ½ of its upright box's side; then bilinear blur
        if (box[:2] > 0).all() and (box[2:] < (HEIGHT, WIDTH)).all():
            assert (high - low >= 0.65 * (box[2:] - box[:2]) - 2).all()
            checked += 1
    assert checked > 100
    assert not valid[:, 1].any()
    assert (moved[:, 1] == 0).all()


def test_boxes_that_show_too_little_are_dropped() -> None:
    images = noise(400)
    boxes = np.tile(np.array([[0, 0, 20, 20], [10, 10, 10.5, 30]], np.float32), (400, 1, 1))
    _, all_moved, all_valid, _ = augmented(images, boxes, crop=0.5)
    _, moved, valid, _ = augmented(images, boxes, crop=0.5, visible_share=0.5)
    shares = np.prod(all_moved[:, 0, 2:] - all_moved[:, 0, :2], axis=-1) / 400
    clear = np.abs(shares - 0.5) > 1e-3
    assert ((shares > 0.5) == valid[:, 0])[clear].all()
    assert 0 < valid[:, 0].sum() < all_valid[:, 0].sum() < 400
    assert (moved[~valid] == 0).all()
    assert not all_valid[:, 1].any()  # half a pixel high


def test_brightness_adds_and_contrast_stretches_about_the_mean() -> None:
    images = np.tile(np.array([100, 120], np.uint8)[None, None, :, None], (50, HEIGHT, WIDTH // 2, 3))
    brighter = augmented(images, brightness=0.2)[0]
    assert np.allclose(brighter[:, 0, 1] - brighter[:, 0, 0], 20, atol=1e-3)
    shifts = brighter[:, 0, 0, 0] - 100
    assert np.abs(shifts).max() <= 0.2 * 255 + 1e-3
    assert shifts.min() < -40
    assert shifts.max() > 40
    stretched = augmented(images, contrast=0.5)[0]
    np.testing.assert_allclose(stretched.mean(axis=(1, 2, 3)), 110, atol=0.05)
    factors = (stretched[:, 0, 1, 0] - stretched[:, 0, 0, 0]) / 20
    assert 0.5 <= factors.min() < 0.6
    assert 1.4 < factors.max() <= 1.5


def test_hue_and_saturation_keep_luma_and_turn_and_stretch_chroma() -> None:
    images = np.random.default_rng(23).integers(90, 160, (30, HEIGHT, WIDTH, 3), np.uint8)  # far from clipping
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    before = images @ to_yiq.T
    for ranges in ({"hue": 0.1}, {"saturation": 0.5}):
        after = augmented(images, **ranges)[0] @ to_yiq.T
        np.testing.assert_allclose(after[..., 0], before[..., 0], atol=1e-2)
        chroma = (after[..., 1] + 1j * after[..., 2]) / (before[..., 1] + 1j * before[..., 2])
        factor = np.median(chroma.real, axis=(1, 2)) + 1j * np.median(chroma.imag, axis=(1, 2))
        turn, strength = np.angle(factor) / (2 * np.pi), np.abs(factor)
        if "hue" in ranges:
            np.testing.assert_allclose(strength, 1, atol=1e-3)
            assert np.abs(turn).max() <= 0.1 + 1e-4
            assert np.ptp(turn) > 0.15
        else:
            np.testing.assert_allclose(turn, 0, atol=1e-4)
            assert 0.5 - 1e-3 <= strength.min() < 0.6
            assert 1.4 < strength.max() <= 1.5 + 1e-3


def test_padding_keeps_its_colour_whatever_happens_to_the_picture() -> None:
    extents = np.array([[30, 40]] * 8, np.float32)
    pictures, _, _, covered = augmented(
        noise(8), None, extents, **{**NOTHING, "brightness": 1.0, "hue": 0.5, "crop": 0.3}
    )
    for picture, extent in zip(pictures, np.ceil(covered).astype(int), strict=True):
        assert (picture[extent[0] :] == PADDING_RGB).all()
        assert (picture[:, extent[1] :] == PADDING_RGB).all()
    assert pictures.min() >= 0
    assert pictures.max() <= 255


def test_an_image_is_changed_the_same_way_wherever_it_stands_in_the_batch() -> None:
    images, boxes = ellipses(4)
    strongest = {name: getattr(Augmentation.of_strength(1.0), name) for name in FIELDS}
    together = augmented(images, boxes, seed=9, index=np.array([40, 41, 42, 43]), **strongest)
    for place in range(4):
        one = slice(place, place + 1)
        alone = augmented(images[one], boxes[one], seed=9, index=np.array([40 + place]), **strongest)
        for first, second in zip(together, alone, strict=True):
            np.testing.assert_allclose(first[one], second, atol=1e-2)
    elsewhere = augmented(images, boxes, seed=10, index=np.array([40, 41, 42, 43]), **strongest)
    assert np.abs(together[0] - elsewhere[0]).mean(axis=(1, 2, 3)).min() > 1
