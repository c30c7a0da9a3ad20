"""Average precision against values worked out by hand.

COCO reads the precision at 101 recalls (0, 0.01 … 1), each the best precision at that recall or beyond.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.data.dataset import Dataset, Image, load_dataset
from detector.data.layout import find_sources
from detector.data.metrics.average_precision import Detections, coco_metrics
from detector.data.pair import load_pair
from detector.data.sample_data import write_sample
from detector.data_source import DataFormat, DataSource

Box = tuple[float, float, float, float]

ONE: Box = (10, 10, 50, 50)  # 40 × 40 px, medium
TWO: Box = (60, 60, 80, 80)  # 20 × 20 px, small
HALF: Box = (10, 10, 50, 31)  # IoU with ONE: 40 · 21 / 1600 = 0.525


SOURCE = DataSource(format=DataFormat.COCO, images=Path("images"), annotations=Path("train.json"))


def _image(boxes: list[Box], labels: list[int], crowd: list[bool] | None = None) -> Image:
    corners = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return Image(
        path=Path("a.png"), name="a.png", image_id=0, width_px=200, height_px=200, boxes=corners,
        labels=np.array(labels, dtype=np.int32), crowd=np.array(crowd or [False] * len(boxes), dtype=bool),
        area=(corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]), digest="",
    )  # fmt: skip


def _dataset(*images: Image, classes: tuple[str, ...] = ("cat", "dog")) -> Dataset:
    return Dataset(images=images, classes=classes, fingerprint="", source=SOURCE)


def _found(*rows: tuple[Box, float, int]) -> Detections:
    return Detections(
        boxes=np.array([row[0] for row in rows], dtype=np.float32).reshape(-1, 4),
        scores=np.array([row[1] for row in rows], dtype=np.float32),
        labels=np.array([row[2] for row in rows], dtype=np.int32),
    )


CASES = [
    pytest.param([ONE], [(ONE, 0.9, 0)], {"ap": 1, "ap50": 1, "ap75": 1, "ar100": 1, "ap_medium": 1}, id="exact"),
    pytest.param([ONE], [], {"ap": 0, "ap50": 0, "ar100": 0}, id="nothing found"),
    # 0.525 passes the threshold 0.50 alone of the ten 0.50, 0.55 … 0.95
    pytest.param([ONE], [(HALF, 0.9, 0)], {"ap": 0.1, "ap50": 1, "ap75": 0, "ar100": 0.1}, id="IoU 0.525"),
    # precision 1 up to recall 0.5 (51 of the 101 recalls), 0 beyond
    pytest.param([ONE, TWO], [(ONE, 0.9, 0)], {"ap": 51 / 101, "ar100": 0.5, "ap_small": 0}, id="one of two"),
    # sorted: wrong, right → precision 1/2 at recall 1
    pytest.param([ONE], [(TWO, 0.9, 0), (ONE, 0.8, 0)], {"ap": 0.5, "ar100": 1}, id="a better scored false one"),
    pytest.param([ONE], [(TWO, 0.8, 0), (ONE, 0.9, 0)], {"ap": 1}, id="a worse scored false one costs nothing"),
    # right, double, right → precisions 1, 1/2, 2/3: 51 recalls at 1 and 50 at 2/3
    pytest.param(
        [ONE, TWO], [(ONE, 0.9, 0), (ONE, 0.8, 0), (TWO, 0.7, 0)],
        {"ap": (51 + 50 * 2 / 3) / 101, "ar100": 1}, id="a double is false",
    ),
    pytest.param([ONE], [(ONE, 0.9, 1)], {"ap": 0, "ap/cat": 0}, id="the wrong class"),
    pytest.param(
        [ONE], [((math.nan, 0, 5, 5), 0.99, 0), (ONE, math.nan, 0), (ONE, 0.5, 0)], {"ap": 1}, id="not finite"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("truth", "found", "expected"), CASES)
def test_figures_equal_those_worked_out_by_hand(
    truth: list[Box], found: list[tuple[Box, float, int]], expected: dict[str, float]
) -> None:
    figures = coco_metrics(_dataset(_image(truth, [0] * len(truth))), [_found(*found)])
    assert {name: figures[name] for name in expected} == pytest.approx(expected)


def test_the_mean_leaves_out_classes_and_sizes_without_truth() -> None:
    figures = coco_metrics(_dataset(_image([ONE, TWO], [0, 0])), [_found((ONE, 0.9, 0), (TWO, 0.9, 0))])
    assert figures["ap"] == pytest.approx(1)
    assert figures["ap/cat"] == pytest.approx(1)
    assert "ap/dog" not in figures
    assert "ap_large" not in figures


def test_the_mean_over_classes_weighs_each_alike() -> None:
    figures = coco_metrics(_dataset(_image([ONE, TWO], [0, 1])), [_found((ONE, 0.9, 0))])
    assert figures["ap/cat"] == pytest.approx(1)
    assert figures["ap/dog"] == pytest.approx(0)
    assert figures["ap"] == pytest.approx(0.5)


def test_detections_in_a_crowd_are_neither_right_nor_wrong() -> None:
    image = _image([ONE, (100, 100, 180, 180)], [0, 0], crowd=[False, True])
    inside = [((110, 110 + 20 * n, 125, 125 + 20 * n), 0.95, 0) for n in range(3)]
    figures = coco_metrics(_dataset(image), [_found(*inside, (ONE, 0.9, 0))])
    assert figures["ap"] == pytest.approx(1)
    without = coco_metrics(_dataset(_image([ONE], [0])), [_found(*inside, (ONE, 0.9, 0))])
    assert without["ap"] == pytest.approx(1 / 4)  # three false ones come first


def test_detections_count_in_their_own_image_only() -> None:
    dataset = _dataset(_image([ONE], [0]), _image([TWO], [0]))
    assert coco_metrics(dataset, [_found((TWO, 0.9, 0)), _found((ONE, 0.9, 0))])["ap"] == pytest.approx(0)
    assert coco_metrics(dataset, [_found((ONE, 0.9, 0)), _found((TWO, 0.9, 0))])["ap"] == pytest.approx(1)


def test_only_the_hundred_best_detections_of_a_class_count() -> None:
    noise = [((150.0, 150.0, 160.0, 160.0), 0.9, 0)] * 100
    assert coco_metrics(_dataset(_image([ONE], [0])), [_found(*noise, (ONE, 0.8, 0))])["ap"] == pytest.approx(0)
    # 99 false ones first: precision 1/100
    best = coco_metrics(_dataset(_image([ONE], [0])), [_found(*noise[:99], (ONE, 0.8, 0))])
    assert best["ap"] == pytest.approx(0.01)


def test_without_any_truth_the_figures_are_not_a_number() -> None:
    figures = coco_metrics(_dataset(_image([], [])), [_found((ONE, 0.9, 0))])
    assert set(figures) == {"ap", "ap50", "ap75", "ar100"}
    assert all(math.isnan(value) for value in figures.values())


def test_a_list_that_ends_early_evaluates_the_images_so_far() -> None:
    dataset = _dataset(_image([ONE], [0]), _image([TWO], [0]))
    assert coco_metrics(dataset, [_found((ONE, 0.9, 0))])["ap"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "1 to 1 entries are needed"),
        ([_found(), _found()], "1 to 1 entries are needed"),
        ([_found((ONE, 0.9, 2))], r"labels must lie in 0 … 1, but image 0 has \[2\]"),
        ([_found((ONE, 0.9, -1))], r"has \[-1\]"),
    ],
)
def test_detections_that_fit_no_dataset_are_refused(found: list[Detections], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        coco_metrics(_dataset(_image([ONE], [0])), found)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    coco_metrics(_dataset(_image([ONE], [0])), [_found((ONE, 0.9, 0))])
    assert capfd.readouterr() == ("", "")


def _perfect(dataset: Dataset) -> dict[str, float]:
    """Figures of the ground truth handed in as detections."""
    return coco_metrics(
        dataset,
        [
            Detections(
                boxes=image.training_boxes,
                scores=np.ones(len(image.training_boxes), dtype=np.float32),
                labels=image.training_labels,
            )
            for image in dataset.images
        ],
    )


def _sample(tmp_path: Path) -> Dataset:
    write_sample(tmp_path / "sample", train=12, validation=4)
    return load_pair(*find_sources(tmp_path / "sample"), share=0.2, seed=0)[0]


@pytest.mark.parametrize("name", ["sample", "coco", "voc", "bccd"])
def test_ground_truth_fed_back_scores_one(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    loaders: dict[str, Callable[[], Dataset]] = {
        "sample": lambda: _sample(tmp_path),
        "coco": lambda: load_dataset(request.getfixturevalue("coco").source),
        "voc": lambda: load_dataset(request.getfixturevalue("voc").source()),
        "bccd": lambda: load_pair(*find_sources(request.getfixturevalue("bccd")), share=0.2, seed=0)[1],
    }
    figures = _perfect(loaders[name]())
    assert figures.pop("ap_error") == 0
    assert figures == pytest.approx(dict.fromkeys(figures, 1.0))
    assert {"ap", "ap50", "ap75", "ar100"} < set(figures)


def test_boxes_shifted_by_half_their_size_do_not_score(coco: Any) -> None:
    dataset = load_dataset(coco.source)
    shifted = [replace(image, boxes=image.boxes + 15) for image in dataset.images]
    moved = replace(dataset, images=tuple(shifted))
    found = [
        Detections(boxes=i.training_boxes, scores=np.ones(len(i.training_boxes), np.float32), labels=i.training_labels)
        for i in moved.images
    ]
    assert coco_metrics(dataset, found)["ap"] < 0.1
