from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.data.conversion import WRITERS, convert
from detector.data.dataset import DataError, Dataset
from detector.data.formats.table import READERS
from detector.data.layout import find_sources
from detector.data.pair import load_pair
from detector.data.sample_data import write_sample
from detector.data.written.split import flat_names
from detector.data_source import DataFormat


def facts(dataset: Dataset) -> dict[str, tuple[list[list[float]], list[str], list[bool]]]:
    """Boxes, classes and crowds by the content of each image."""
    return {
        image.digest: (image.boxes.tolist(), [dataset.classes[label] for label in image.labels], image.crowd.tolist())
        for image in dataset.images
    }


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    write_sample(tmp_path / "sample", train=6, validation=3)
    return tmp_path / "sample"


@pytest.mark.parametrize("first", WRITERS)
@pytest.mark.parametrize("second", WRITERS)
def test_whatever_is_written_is_read_back_the_same(
    sample: Path, tmp_path: Path, first: DataFormat, second: DataFormat
) -> None:
    convert(*find_sources(sample), to=first, output=tmp_path / "one")
    train, validation = find_sources(tmp_path / "one")
    assert train.format is first
    convert(train, validation, to=second, output=tmp_path / "two")
    assert find_sources(tmp_path / "two")[0].format is second
    for before, after in zip(
        load_pair(*find_sources(sample), share=0.2, seed=0),
        load_pair(*find_sources(tmp_path / "two"), share=0.2, seed=0),
        strict=True,
    ):
        assert before.classes == after.classes
        assert facts(before).keys() == facts(after).keys()
        for digest, (boxes, classes, crowd) in facts(before).items():
            again, its_classes, its_crowd = facts(after)[digest]
            np.testing.assert_allclose(again, boxes, atol=1e-3)
            assert (its_classes, its_crowd) == (classes, crowd)


@pytest.mark.parametrize("to", WRITERS)
def test_crowds_are_kept_where_the_format_has_a_mark_and_counted_where_not(
    coco: Any, tmp_path: Path, to: DataFormat
) -> None:
    done = convert(coco.source, None, to=to, output=tmp_path / "new")
    source = find_sources(tmp_path / "new")[0]
    boxes = [box for image in READERS[to].read(source).images for box in image.boxes]
    left_out = int(to is DataFormat.YOLO)
    assert (len(boxes), sum(box.crowd for box in boxes)) == (3 - left_out, 1 - left_out)
    assert (done.images, done.boxes, done.crowds_left_out, done.dropped) == (3, 3 - left_out, left_out, 0)


def test_nothing_is_overwritten(sample: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="is not an empty folder; name a new one, nothing is overwritten"):
        convert(*find_sources(sample), to=DataFormat.VOC, output=tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["mine.txt"]


def test_names_without_folders_stay_apart() -> None:
    assert flat_names(["a.jpg", "a.png", "sub/a.jpg", "sub_a.jpg", "A.JPG"]) == [
        "a.jpg",
        "a_2.png",
        "sub_a.jpg",
        "sub_a_2.jpg",
        "A_3.JPG",
    ]
