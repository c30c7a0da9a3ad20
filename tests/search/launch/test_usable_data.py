"""Images that can't be used are refused before the study exists, or left out, within a bound, where it says so."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from detector.config import ConfigError
from detector.data.sample_data import write_sample
from search.launch.launching import only_create
from search.launch.settled import settle
from search.plan import Plan, as_launched
from search.study.specification import Specification, specification_from
from search.terminal import PlainConsole
from storage.connection.database import Database
from storage.study import find_study

FILES = {"train": "train.json", "validation": "val.json"}
SPLIT = 20  # images of the training split, and of the validation split


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("healthy") / "data"
    write_sample(folder, train=SPLIT, validation=SPLIT)
    return folder


@pytest.fixture
def data(healthy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(healthy, tmp_path / "data"))


def _study(data: Path, **settings: Any) -> Specification:
    document = {
        "name": "bad",
        "storage": f"sqlite:///{data.parent / 'study.db'}",
        "data": {"folder": str(data)} | settings,
        "detector": {"canvas": "64x64"},
    }
    return specification_from(document, "this test")


def _truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-300])


def _missing(file: Path) -> None:
    file.unlink()


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _pictures(data: Path, split: str) -> list[Path]:
    names = [entry["file_name"] for entry in json.loads((data / FILES[split]).read_text())["images"]]
    return [next(data.rglob(Path(name).name)) for name in names]


SPOIL = [_truncated, _missing, _empty]


@pytest.mark.parametrize("spoil", SPOIL)
@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_bad_image_is_refused_before_the_study_exists(data: Path, spoil: Callable, split: str) -> None:
    file = _pictures(data, split)[3]
    spoil(file)
    with pytest.raises(ConfigError) as caught:
        only_create(_study(data), folder=data.parent, console=PlainConsole(quiet=True))
    assert file.name in str(caught.value)
    assert "set `on_bad_image: skip` in the section `data`" in str(caught.value)
    assert not (data.parent / "study.db").exists()


@pytest.mark.parametrize("spoil", SPOIL)
@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_bad_image_is_left_out_told_and_kept_with_the_study(data: Path, spoil: Callable, split: str) -> None:
    file = _pictures(data, split)[3]
    spoil(file)
    console = PlainConsole(record=True)
    specification = _study(data, on_bad_image="skip")
    for _ in range(2):  # a second launch agrees
        assert only_create(specification, folder=data.parent, console=console) == 0
    shown = console.export_text()
    assert "left out, for they can't be used" in shown
    assert file.name in shown
    with Database.open(specification.storage) as database:
        launched = as_launched(find_study(database, "bad"), storage=specification.storage)
    left_out = launched.data.left_out
    assert left_out is not None
    assert len(getattr(left_out, split)) == 1
    assert Path(getattr(left_out, split)[0]).name == file.name
    train, validation = launched.data.load(seed=0)  # as workers and exports do
    assert len(train.images) + len(validation.images) == 2 * SPLIT - 1
    assert Plan.of(launched, data.parent).setup.train.left_out == left_out.train


def test_more_than_the_bound_is_refused_with_the_setting(data: Path) -> None:
    for file in _pictures(data, "train")[:3]:
        _truncated(file)
    console = PlainConsole(quiet=True)
    with pytest.raises(ConfigError, match=r"3 of 20 training images can't be used, and `data\.most_bad_share` is 0\.1"):
        settle(_study(data, on_bad_image="skip"), console, folder=data.parent)
    raised = settle(_study(data, on_bad_image="skip", most_bad_share=0.15), console, folder=data.parent)
    assert raised.specification.data.left_out is not None


def test_images_left_out_of_one_source_are_of_neither_part(data: Path) -> None:
    (data / "val.json").unlink()
    files = _pictures(data, "train")
    _truncated(files[0])
    _missing(files[7])
    settled = settle(_study(data, on_bad_image="skip"), PlainConsole(quiet=True), folder=data.parent).specification
    train, validation = settled.data.load(seed=0)
    names = {Path(image.name).name for image in (*train.images, *validation.images)}
    assert names == {file.name for file in files} - {files[0].name, files[7].name}


def test_a_path_out_of_the_folder_is_never_skipped(data: Path) -> None:
    document = json.loads((data / "train.json").read_text())
    document["images"][0]["file_name"] = "../../../etc/passwd"
    (data / "train.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="leaves the image folder"):
        settle(_study(data, on_bad_image="skip"), PlainConsole(quiet=True), folder=data.parent)


def test_what_a_user_leaves_out_himself_is_left_out(data: Path) -> None:
    name = json.loads((data / "train.json").read_text())["images"][0]["file_name"]
    specification = _study(data, left_out={"train": [name]})
    train, _ = specification.data.load(seed=0)
    assert len(train.images) == SPLIT - 1
    assert [remark.name for remark in train.remarks] == ["images-left-out"]
    assert replace(specification.data, left_out=None).load(seed=0)[0].fingerprint != train.fingerprint


def test_the_bound_is_for_what_is_skipped_not_for_what_the_user_leaves_out_himself(data: Path) -> None:
    names = [entry["file_name"] for entry in json.loads((data / "train.json").read_text())["images"]]
    settled = settle(_study(data, left_out={"train": names[:9]}), PlainConsole(quiet=True), folder=data.parent)
    train, _ = settled.specification.data.load(seed=0)
    assert len(train.images) == SPLIT - 9


def test_a_name_to_leave_out_that_no_image_has_is_told(data: Path) -> None:
    train, _ = _study(data, left_out={"train": ["none.png"]}).data.load(seed=0)
    assert len(train.images) == SPLIT
    assert "0 images are left out, as `data.left_out` says; 1 of the names are of no image here" in (
        train.remarks[0].message
    )


def test_other_data_is_read_whole(data: Path, tmp_path: Path) -> None:
    moved = _study(data, left_out={"train": ["a.png"]}, exif="stored").data.elsewhere(tmp_path)
    assert (moved.left_out, moved.exif) == (None, "stored")
