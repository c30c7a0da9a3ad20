import io
from pathlib import Path

import pytest
from rich.console import Console

from detector.config import ConfigError
from detector.data.layout import find_sources
from detector.data.sample_data import write_sample
from detector.data_source import DataFormat
from search.study.conversion import run_conversion


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def test_it_says_what_was_written(tmp_path: Path, console: Console) -> None:
    write_sample(tmp_path / "sample", train=4, validation=2)
    run_conversion(tmp_path / "sample", "yolo", tmp_path / "new", console)
    assert console.file.getvalue().startswith("wrote 6 images with ")
    assert find_sources(tmp_path / "new")[0].format is DataFormat.YOLO


@pytest.mark.parametrize(
    ("data", "to", "says"),
    [
        ("sample", "pascal", "--to must be one of coco, voc, yolo, but is 'pascal'"),
        ("nowhere", "coco", "there is no such folder"),
        ("empty", "coco", "the folder is empty"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(
    tmp_path: Path, console: Console, data: str, to: str, says: str
) -> None:
    write_sample(tmp_path / "sample", train=4, validation=2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=says):
        run_conversion(tmp_path / data, to, tmp_path / "new", console)
    assert not (tmp_path / "new").exists()


def test_a_study_file_s_data_is_converted_as_it_says(tmp_path: Path) -> None:
    write_sample(tmp_path / "data", train=12, validation=4)
    next((tmp_path / "data" / "images").glob("train_*")).write_bytes(b"")
    (tmp_path / "study.yaml").write_text("data: {folder: data}\n")
    with pytest.raises(ConfigError, match="on_bad_image: skip"):
        run_conversion(tmp_path / "study.yaml", "voc", tmp_path / "new", Console(quiet=True))
    assert not (tmp_path / "new").exists()
    (tmp_path / "study.yaml").write_text("data: {folder: data, on_bad_image: skip, exif: stored}\n")
    console = Console(record=True, width=200)
    run_conversion(tmp_path / "study.yaml", "voc", tmp_path / "new", console)
    shown = console.export_text()
    assert "wrote 15 images" in shown
    assert "1 of 12 images can't be used" in shown
    assert "the copies keep their EXIF: read them with `exif: stored`, too" in shown
