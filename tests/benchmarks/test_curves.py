"""The recorded learning curves: their file, their order, and the datasets that are made for them."""

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.curves import datasets
from benchmarks.curves.curve import Curve, CurveReading, append_curve, read_curves, trainings
from benchmarks.curves.datasets import DATASETS, KEPT_OF_RARE, RARE
from detector.data.dataset import Dataset, load_dataset
from detector.data.layout import find_sources


@pytest.fixture
def fewer_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of what is recorded on: how an image is made hangs on no other."""
    for name in ("TILES", "LARGE"):
        train, validation = getattr(datasets, name)
        monkeypatch.setattr(datasets, name, (train // 5, validation // 5))


def read(folder: Path) -> Dataset:
    train, _ = find_sources(folder)
    return load_dataset(train)


def test_a_curve_comes_back_from_its_file_with_six_digits(tmp_path: Path) -> None:
    reading = CurveReading(
        images=52, training_s=8.0, evaluation_s=2.0, part_s=1.0, metrics={"ap": 0.123456789}, part={"ap": 0.25}
    )
    curve = Curve(
        dataset="dense",
        configuration=3,
        seed=0,
        parameters={"optimizer": "adam", "batch_size": 4},
        outcome="diverged",
        cause="RPN loss",
        images=60,
        readings=(reading,),
    )
    append_curve(tmp_path, curve)
    append_curve(tmp_path, curve)
    first, second = read_curves(tmp_path)
    assert first == second
    assert first.readings[0].metrics == {"ap": 0.123457}
    assert (first.key, first.outcome, first.images) == (("dense", 3, 0), "diverged", 60)


def test_all_configurations_come_with_one_seed_before_the_first_eight_with_others() -> None:
    order = list(trainings(10, 2))
    assert order[:10] == [(number, 0) for number in range(10)]
    assert order[10:] == [(number, 1) for number in range(8)]


@pytest.mark.usefixtures("fewer_images")
def test_a_dense_image_is_made_of_four_whose_boxes_move_with_them(tmp_path: Path) -> None:
    folder = DATASETS["dense"].folder(tmp_path)
    tiles = json.loads((tmp_path / "tiles" / "train.json").read_text())
    dense = json.loads((folder / "train.json").read_text())
    assert len(dense["images"]) == len(tiles["images"]) // 4
    for tile, moved in zip(tiles["annotations"], dense["annotations"], strict=True):
        corner = (tile["image_id"] - 1) % 4  # the sample numbers its images from 1
        assert moved["image_id"] == (tile["image_id"] - 1) // 4 + 1
        assert moved["bbox"][:2] == [tile["bbox"][0] + 64 * (corner % 2), tile["bbox"][1] + 64 * (corner // 2)]
        assert moved["bbox"][2:] == tile["bbox"][2:]
    assert not read(folder).dropped


@pytest.mark.usefixtures("fewer_images")
def test_one_class_is_rare_in_the_set_of_uneven_classes(tmp_path: Path) -> None:
    dataset = read(DATASETS["rare"].folder(tmp_path))
    counts = Counter(dataset.classes[label] for image in dataset.images for label in image.training_labels)
    others = [count for name, count in counts.items() if name != RARE]
    assert 0 < counts[RARE] < min(others) / 3
    assert KEPT_OF_RARE > 3


@pytest.mark.usefixtures("fewer_images")
@pytest.mark.parametrize("name", ["dense", "rare"])
def test_the_same_data_is_made_again_where_a_recording_goes_on(name: str, tmp_path: Path) -> None:
    first = read(DATASETS[name].folder(tmp_path))
    again = read(DATASETS[name].folder(tmp_path))
    assert first.fingerprint == again.fingerprint
