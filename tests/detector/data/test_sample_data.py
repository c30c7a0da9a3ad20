import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from detector.config import ConfigError
from detector.data.layout import find_sources
from detector.data.pair import load_pair
from detector.data.sample_data import CLASSES, MOST_OVERLAP, write_sample


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "new" / "folder"
    write_sample(folder, seed=1, train=30, validation=8)
    return folder


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(sample: Path, tmp_path: Path) -> None:
    write_sample(tmp_path / "again", seed=1, train=30, validation=8)
    assert _digests(tmp_path / "again") == _digests(sample)
    write_sample(tmp_path / "other", seed=2, train=30, validation=8)
    mine, other = _digests(sample), _digests(tmp_path / "other")
    assert mine.keys() == other.keys()
    assert [name for name in mine if mine[name] == other[name]] == [".frcnn-sample-data"]


def test_it_loads_without_a_complaint_and_matches_its_promise(sample: Path) -> None:
    train, validation = load_pair(*find_sources(sample), share=0.2, seed=0)
    assert (len(train.images), len(validation.images)) == (30, 8)
    assert train.classes == CLASSES
    assert train.dropped == ()
    assert train.clipped == 0
    counts = [len(image.boxes) for image in train.images]
    assert min(counts) >= 1
    assert max(counts) <= 6
    boxes = np.concatenate([image.boxes for image in train.images])
    sides = np.concatenate([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]])
    assert sides.min() >= 9
    assert sides.max() <= 52
    labels = np.concatenate([image.labels for image in train.images])
    assert np.bincount(labels, minlength=3).min() >= 10


def test_shapes_overlap_little(sample: Path) -> None:
    train, _ = load_pair(*find_sources(sample), share=0.2, seed=0)
    for image in train.images:
        for index, one in enumerate(image.boxes):
            for other in image.boxes[:index]:
                sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
                shared = float(np.prod(np.clip(sides, 0, None)))
                union = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared
                assert shared / union <= MOST_OVERLAP + 1e-6


def test_boxes_are_tight_around_what_is_drawn(sample: Path) -> None:
    """Shapes are saturated and the ground is not, so the strong colours of a lone shape must fill its box exactly."""
    train, _ = load_pair(*find_sources(sample), share=0.2, seed=0)
    lone = [image for image in train.images if len(image.boxes) == 1]
    assert len(lone) >= 3
    for image in lone:
        pixels = np.asarray(Pillow.open(image.path), dtype=float)
        strong = np.argwhere(pixels.max(axis=2) - pixels.min(axis=2) > 70)
        found = np.array([*strong.min(axis=0), *(strong.max(axis=0) + 1)])
        assert np.abs(found - image.boxes[0]).max() <= 2


def test_its_own_folder_is_overwritten_without_remains(tmp_path: Path) -> None:
    write_sample(tmp_path, seed=0, train=4, validation=3)
    write_sample(tmp_path, seed=0, train=2, validation=1)
    assert len(list((tmp_path / "images").iterdir())) == 3
    assert len(json.loads((tmp_path / "train.json").read_text())["images"]) == 2


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty and holds no earlier sample"):
        write_sample(tmp_path, train=1, validation=1)
    with pytest.raises(ConfigError, match="is a file"):
        write_sample(tmp_path / "train.json", train=1, validation=1)
    assert (tmp_path / "train.json").read_text() == "mine"


@pytest.mark.parametrize("arguments", [{"train": 0}, {"validation": 0}, {"size_px": (32, 128)}, {"size_px": (128, 63)}])
def test_impossible_samples_are_refused(tmp_path: Path, arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="at least"):
        write_sample(tmp_path / "new", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_objects_may_be_made_smaller(tmp_path: Path) -> None:
    write_sample(tmp_path, train=4, validation=1, sizes_px=(6.0, 12.0))
    sides = [
        side for box in json.loads((tmp_path / "train.json").read_text())["annotations"] for side in box["bbox"][2:]
    ]
    assert sides
    assert 4 <= min(sides) <= max(sides) <= 14  # cut to what is covered by half, and turned by up to 0.3
