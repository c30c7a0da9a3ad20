"""A file of annotations in place of a folder: all that it annotates, and nothing of a split that lies beside it."""

import shutil
from pathlib import Path

import pytest

from detector.data.conversion import convert
from detector.data.dataset import DataError, load_dataset
from detector.data.layout import find_sources
from detector.data.sample_data import write_sample
from detector.data_source import DataFormat


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    write_sample(tmp_path / "sample", train=6, validation=3)
    return tmp_path / "sample"


@pytest.mark.parametrize("place", ["boxes.json", "annotations/boxes.json", "images/boxes.json"])
def test_a_coco_file_finds_its_images(sample: Path, place: str) -> None:
    (sample / "val.json").unlink()
    file = sample / place
    file.parent.mkdir(exist_ok=True)
    (sample / "train.json").rename(file)
    train, validation = find_sources(file)
    assert (train.images.resolve(), train.annotations, validation) == ((sample / "images").resolve(), file, None)
    assert len(load_dataset(train).images) == 6


def test_a_csv_table_finds_its_images(tmp_path: Path, sample: Path) -> None:
    name = next((sample / "images").iterdir()).name
    (sample / "boxes.csv").write_text(f"filename,class,xmin,ymin,xmax,ymax\n{name},disc,4,4,30,30\n")
    train, validation = find_sources(sample / "boxes.csv")
    assert (train.format, validation) == (DataFormat.CSV, None)
    assert len(load_dataset(train).images) == 1


def test_a_data_yaml_names_both_splits(tmp_path: Path, sample: Path) -> None:
    convert(*find_sources(sample), to=DataFormat.YOLO, output=tmp_path / "yolo")
    train, validation = find_sources(tmp_path / "yolo" / "data.yaml")
    assert validation is not None
    assert (len(load_dataset(train).images), len(load_dataset(validation).images)) == (6, 3)


@pytest.mark.parametrize("split", ["train.json", "val.json"])
def test_one_of_two_splits_is_refused_with_the_folder_of_both(sample: Path, split: str) -> None:
    with pytest.raises(
        DataError, match=r"is one split of a dataset, and (val|train)\.json is the other; name its folder"
    ):
        find_sources(sample / split)


@pytest.mark.parametrize("content", ["", "[1, 2]", "name: a study\ndata: {folder: x}\n"])
@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.csv", "a.xml", "a"])
def test_any_other_file_is_refused_with_what_to_name(tmp_path: Path, content: str, name: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=r"is no COCO file .* name one, or the folder of the dataset"):
        find_sources(tmp_path / name)


def test_a_record_file_is_answered_with_the_command_that_converts_it(tmp_path: Path) -> None:
    shutil.copy(__file__, tmp_path / "train.tfrecord")
    with pytest.raises(DataError, match=r"frcnn-search convert --data .*train\.tfrecord --to coco --output NEW_FOLDER"):
        find_sources(tmp_path / "train.tfrecord")
