"""Tables and pictures of an evaluation, as files."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector.config import ConfigError
from detector.data.dataset import Dataset, load_dataset
from detector.data.layout import find_sources
from detector.data.metrics.average_precision import Detections
from search.export.evaluation_files import FILES, write_evaluation


@pytest.fixture
def truth(sample: Path) -> Dataset:
    return load_dataset(find_sources(sample)[0])


def perfect(truth: Dataset) -> list[Detections]:
    return [
        Detections(boxes=image.boxes, scores=np.ones(len(image.boxes), np.float32), labels=image.labels)
        for image in truth.images
    ]


def rows_of(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def test_the_tables_hold_each_class_its_curve_and_its_confusions(truth: Dataset, tmp_path: Path) -> None:
    write_evaluation(tmp_path / "new", truth, perfect(truth))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(FILES)
    counts = {
        name: int(sum((image.labels == label).sum() for image in truth.images))
        for label, name in enumerate(truth.classes)
    }
    heading, *rows = rows_of(tmp_path / "new" / "per_class.csv")
    assert heading == ["class", "AP", "AP50", "AR", "boxes"]
    assert rows == [[name, "1.000000", "1.000000", "1.000000", str(count)] for name, count in counts.items()]
    heading, *rows = rows_of(tmp_path / "new" / "precision_recall.csv")
    assert heading == ["class", "recall", "precision", "score"]
    assert rows[0] == ["disc", "0.00", "1.000000", "1.000000"]
    assert len(rows) == 3 * 101
    heading, *rows = rows_of(tmp_path / "new" / "confusion.csv")
    assert heading == ["annotated", *truth.classes, "background"]
    assert [row[0] for row in rows] == [*truth.classes, "background"]
    matrix = np.array([row[1:] for row in rows], int)
    assert matrix.tolist() == np.diag([*counts.values(), 0]).tolist()


def test_the_score_decides_what_counts_as_confusion(truth: Dataset, tmp_path: Path) -> None:
    low = [replace(found, scores=found.scores * 0.3) for found in perfect(truth)]
    write_evaluation(tmp_path, truth, low, least_score=0.5)
    matrix = np.array([row[1:] for row in rows_of(tmp_path / "confusion.csv")[1:]], int)
    assert matrix[:, :-1].sum() == 0
    assert matrix[:, -1].sum() == sum(len(image.boxes) for image in truth.images)


def test_a_class_without_boxes_has_empty_cells_and_half_a_character_is_escaped(truth: Dataset, tmp_path: Path) -> None:
    odd = replace(truth, classes=(*truth.classes, "a,\udcff"))
    write_evaluation(tmp_path, odd, perfect(truth))
    assert rows_of(tmp_path / "per_class.csv")[-1] == ["a,\\udcff", "", "", "", "0"]


def test_a_folder_that_cannot_be_written_is_told(truth: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file cannot be written"):
        write_evaluation(tmp_path / "file", truth, perfect(truth))
