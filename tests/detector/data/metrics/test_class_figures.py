"""Figures by class and confusions, against values worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from detector.data.dataset import Dataset, Image, load_dataset
from detector.data.layout import find_sources
from detector.data.metrics.average_precision import Detections, coco_metrics
from detector.data.metrics.class_figures import class_figures
from detector.data.metrics.confusion import confusion
from detector.data.sample_data import write_sample
from detector.data_source import DataFormat, DataSource

Row = tuple[tuple[float, float, float, float], int]
LEFT, RIGHT, FAR = (10, 10, 50, 50), (10, 60, 50, 100), (100, 100, 140, 140)
CAT, DOG, BIRD = range(3)


def dataset(*boxes: Row, crowd: tuple[bool, ...] = ()) -> Dataset:
    """One image of cats, dogs and birds."""
    corners = np.array([box for box, _ in boxes], np.float32).reshape(-1, 4)
    image = Image(
        path=Path("a.png"), name="a.png", image_id=0, width_px=200, height_px=200, boxes=corners,
        labels=np.array([label for _, label in boxes], np.int32),
        crowd=np.array(crowd or [False] * len(boxes), dtype=bool),
        area=(corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]), digest="",
    )  # fmt: skip
    source = DataSource(format=DataFormat.COCO, images=Path("images"), annotations=Path("train.json"))
    return Dataset(images=(image,), classes=("cat", "dog", "bird"), fingerprint="", source=source)


def found(*rows: tuple[tuple[float, float, float, float], float, int]) -> list[Detections]:
    return [
        Detections(
            boxes=np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
            scores=np.array([row[1] for row in rows], np.float32),
            labels=np.array([row[2] for row in rows], np.int32),
        )
    ]


def test_each_class_has_its_figures_and_its_curve() -> None:
    truth = dataset((LEFT, CAT), (RIGHT, CAT), (FAR, DOG))
    cat, dog, bird = class_figures(truth, found((LEFT, 0.9, CAT), (FAR, 0.8, CAT)))
    assert (cat.name, cat.boxes, cat.ap, cat.ap50) == ("cat", 2, pytest.approx(51 / 101), pytest.approx(51 / 101))
    assert cat.ar == 0.5  # one of two
    assert cat.recalls.tolist() == pytest.approx([step / 100 for step in range(101)])
    assert cat.precisions.tolist() == pytest.approx([1.0] * 51 + [0.0] * 50)  # FAR comes later
    assert cat.scores.tolist() == pytest.approx([0.9] * 51 + [0.0] * 50)
    assert (dog.boxes, dog.ap, dog.ar) == (1, 0, 0)
    assert bird.boxes == 0
    assert np.isnan([bird.ap, bird.ap50, bird.ar]).all()
    assert bird.recalls.size == 0


def test_the_figures_by_class_are_those_of_the_whole(tmp_path: Path) -> None:
    write_sample(tmp_path, train=4, validation=2)
    truth = load_dataset(find_sources(tmp_path)[0])
    rng = np.random.default_rng(0)
    detections = [
        Detections(
            boxes=image.boxes + rng.normal(0, 2, image.boxes.shape).astype(np.float32),
            scores=rng.random(len(image.boxes), np.float32),
            labels=image.labels,
        )
        for image in truth.images
    ]
    whole, each = coco_metrics(truth, detections), class_figures(truth, detections)
    assert {f"ap/{one.name}": one.ap for one in each} == pytest.approx(
        {name: value for name, value in whole.items() if name.startswith("ap/")}
    )
    assert np.mean([one.ap50 for one in each]) == pytest.approx(whole["ap50"])
    assert np.mean([one.ar for one in each]) == pytest.approx(whole["ar100"])


def test_confusions_are_counted_with_the_background_as_last_row_and_column() -> None:
    truth = dataset((LEFT, CAT), (RIGHT, DOG), ((150, 10, 190, 50), BIRD))
    detections = found(
        (LEFT, 0.9, CAT),  # right
        (RIGHT, 0.8, CAT),  # a dog taken for a cat
        (FAR, 0.7, DOG),  # nothing is there
        ((150, 10, 190, 50), 0.4, BIRD),  # right, but below the score
    )
    assert confusion(truth, detections, least_score=0.5).tolist() == [
        [1, 0, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 1, 0, 0],
    ]
    assert confusion(truth, detections, least_score=0.0)[BIRD].tolist() == [0, 0, 1, 0]


def test_a_box_is_taken_once_by_the_best_score_and_only_with_half_of_the_overlap() -> None:
    truth = dataset((LEFT, CAT))
    near = (10, 10, 50, 29)  # IoU 19 / 40 < 0.5
    detections = found((LEFT, 0.9, CAT), (LEFT, 0.8, DOG), (near, 0.7, BIRD))
    assert confusion(truth, detections, least_score=0.5).tolist() == [
        [1, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 1, 1, 0],
    ]


def test_what_lies_in_a_crowd_is_no_confusion() -> None:
    truth = dataset((LEFT, CAT), (FAR, DOG), crowd=(False, True))
    counts = confusion(truth, found((LEFT, 0.9, CAT), (FAR, 0.9, CAT)), least_score=0.5)
    assert (counts[CAT, CAT], counts.sum()) == (1, 1)


def test_who_finds_nothing_takes_everything_for_background() -> None:
    counts = confusion(dataset((LEFT, CAT), (RIGHT, DOG)), found(), least_score=0.5)
    assert counts[:, -1].tolist() == [1, 1, 0, 0]
    assert counts.sum() == 2
