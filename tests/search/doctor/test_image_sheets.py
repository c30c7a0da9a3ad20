import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image as Pillow

from benchmarks.parts.spoiled_dataset import SpoiledDataset
from detector.data.sample_data import write_sample
from search.doctor.diagnosis import Diagnosis
from search.doctor.image_sheets import MISSED, chosen_images, compared, image_sheets
from search.drawing.figure import BLUE, ORANGE


def contents(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_the_worst_the_densest_a_middling_and_a_well_fitted_image_are_chosen() -> None:
    means, counts = np.linspace(0.1, 0.9, 9), np.ones(9, np.int64)
    counts[6] = 5
    assert chosen_images(means, counts, contents(9)) == {"worst": 0, "densest": 6, "median": 4, "best": 8}


def test_no_image_is_shown_twice_and_no_copy_of_one() -> None:
    # The worst is the densest, too, and the next dense one is its copy.
    counts = np.array([9, 8, 3, 1, 1, 1])
    chosen = chosen_images(np.linspace(0.1, 0.6, 6), counts, ["a", "a", "b", "c", "d", "e"])
    assert chosen["worst"] == 0
    assert chosen["densest"] == 2
    assert len(set(chosen.values())) == 4
    assert 1 not in chosen.values()


def test_images_without_boxes_are_not_shown_and_few_images_are_few_pictures() -> None:
    assert chosen_images(np.zeros(3), np.array([0, 2, 0]), contents(3)) == {"worst": 1}
    assert chosen_images(np.zeros(2), np.zeros(2, np.int64), contents(2)) == {}


def test_among_images_as_good_as_each_other_those_far_apart_in_the_set_are_shown() -> None:
    means = np.full(100, 0.5)
    means[0] = 0.1
    places = sorted(chosen_images(means, np.ones(100, np.int64), contents(100)).values())
    assert min(np.diff(places)) >= 1
    assert places[-1] - places[0] > 50


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Pillow.open(io.BytesIO(png)).convert("RGB"))


def count(array: np.ndarray, colour: str) -> int:
    return int((array == [round(255 * part) for part in to_rgb(colour)]).all(axis=2).sum())


def has(array: np.ndarray, colour: str) -> bool:
    return count(array, colour) > 0


@pytest.fixture(scope="module")
def diagnosis(tmp_path_factory: pytest.TempPathFactory) -> Diagnosis:
    """Objects of 6 to 14 px, which Detectron2's anchors miss and derived ones reach."""
    folder = tmp_path_factory.mktemp("sheets")
    write_sample(folder / "sample", train=8, validation=4, sizes_px=(6.0, 14.0))
    return SpoiledDataset.copied(folder / "sample", folder / "copy").examine()


def test_the_reference_stands_beside_the_derived_anchors_and_shows_what_it_misses(diagnosis: Diagnosis) -> None:
    assert diagnosis.anchors is not None
    assert diagnosis.train is not None
    sheets = dict(image_sheets(diagnosis.anchors, diagnosis.train, compared(diagnosis.anchors)))
    assert set(sheets) == {"worst", "densest", "median", "best"}
    picture = pixels(sheets["densest"])
    legend = picture[-4 * 26 - 12 :]
    halves = np.array_split(picture[: -len(legend)], 2, axis=1)
    assert [has(half, ORANGE) for half in halves] == [True, False]
    assert [has(half, BLUE) for half in halves] == [False, True]
    left, right = (count(half, MISSED) for half in halves)
    assert left > right
    assert all(has(legend, colour) for colour in ("white", MISSED, ORANGE, BLUE))


def test_the_same_diagnosis_gives_the_same_sheets(diagnosis: Diagnosis) -> None:
    assert diagnosis.anchors is not None
    assert diagnosis.train is not None
    one, other = (dict(image_sheets(diagnosis.anchors, diagnosis.train, compared(diagnosis.anchors))) for _ in range(2))
    assert one == other
