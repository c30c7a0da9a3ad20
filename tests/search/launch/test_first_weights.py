"""Where nobody names weights a new study begins with the best that can be had here, and a line says so."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.config import BackboneName, ConfigError, DetectorSettings
from detector.data.sample_data import write_sample
from detector.weight_files.download import keras_download, model_zoo
from detector.weight_files.download.keras_download import FILES, models_folder
from search.launch.first_weights import VARIABLE, first_weights
from search.study.first_launch import write_study_file
from search.study.study_file import Options, load_study_file
from search.terminal import PlainConsole
from tests.support.foreign_files import coco_detector
from tests.support.zoo import Zoo, serving, unused_address

SMALL, LARGE = BackboneName.RESNET18, BackboneName.RESNET50


@pytest.fixture(autouse=True)
def _no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(model_zoo, "HOST", unused_address())
    monkeypatch.setattr(keras_download, "IMAGENET", unused_address() + "/{}")


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zoo]:
    """The model zoo, which has a small detector."""
    monkeypatch.setattr(model_zoo, "PUBLISHED", {SMALL: "faster_rcnn/1/model.pkl"})
    with serving(coco_detector(tmp_path / "model.pkl", SMALL).read_bytes()) as server:
        monkeypatch.setattr(model_zoo, "HOST", server.address)
        yield server


def chosen(backbone: BackboneName, **environment: str) -> tuple[str, str]:
    """The weights, and the line."""
    text = io.StringIO()
    return first_weights(backbone, PlainConsole(file=text), environment=environment), text.getvalue()


def test_the_detector_of_coco_is_fetched_once_and_then_found(zoo: Zoo) -> None:
    weights, line = chosen(SMALL)
    assert weights == "coco"
    assert line.startswith("weights: coco (fetched into ")
    assert chosen(SMALL)[1].startswith("weights: coco (found in ")
    assert zoo.asked == 1


def test_without_it_a_backbone_of_imagenet_that_is_here_is_taken() -> None:
    models_folder().mkdir(parents=True)
    (models_folder() / FILES[LARGE]).touch()
    weights, line = chosen(LARGE)
    assert weights == "imagenet"
    assert line.startswith("weights: imagenet (the COCO weights could not be fetched (")


def test_one_that_can_be_fetched_is_left_to_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(b"weights") as server:
        monkeypatch.setattr(keras_download, "IMAGENET", server.address + "/{}")
        assert chosen(LARGE)[0] == "imagenet"
    assert not models_folder().joinpath(FILES[LARGE]).exists()


@pytest.mark.parametrize("backbone", BackboneName)
def test_every_backbone_gets_weights_that_there_are_of_it(backbone: BackboneName) -> None:
    models_folder().mkdir(parents=True)
    for file in FILES.values():
        (models_folder() / file).touch()
    weights, line = chosen(backbone)
    assert DetectorSettings(backbone=backbone, weights=weights).weights in ("imagenet", "none")
    assert (f"no detector of a {backbone}" in line) == (weights == "none")


def test_without_a_network_it_is_none_with_what_that_costs() -> None:
    weights, line = chosen(LARGE)
    assert weights == "none"
    assert "only manage on easy data" in line
    assert "name --weights" in line


def test_a_variable_of_the_machine_names_others_and_nothing_is_looked_for(zoo: Zoo) -> None:
    assert chosen(SMALL, **{VARIABLE: "imagenet"}) == ("imagenet", f"weights: imagenet (by {VARIABLE})\n")
    assert zoo.asked == 0


def test_what_stands_in_a_study_file_stands_whatever_can_be_had_later(tmp_path: Path) -> None:
    write_sample(tmp_path / "data", train=1, validation=1)
    file, data = tmp_path / "study.yaml", tmp_path / "data"
    assert write_study_file(file, data, Options(), choose_weights=lambda: "imagenet")
    assert not write_study_file(file, data, Options(), choose_weights=lambda: "none")
    assert load_study_file(file).detector.weights == "imagenet"


@pytest.mark.parametrize(
    ("file", "options"),
    [("nowhere/study.yaml", Options()), ("study.yaml", Options(canvas="7x7")), ("study.yaml", Options(name="a/b"))],
)
def test_nothing_is_fetched_for_a_study_that_cannot_be_written(tmp_path: Path, file: str, options: Options) -> None:
    write_sample(tmp_path / "data", train=1, validation=1)

    def fetched() -> str:
        raise AssertionError("asked for weights")

    with pytest.raises(ConfigError):
        write_study_file(tmp_path / file, tmp_path / "data", options, choose_weights=fetched)
    assert not (tmp_path / file).exists()


def test_a_study_from_coco_weights_has_the_space_of_fine_tuning(tmp_path: Path) -> None:
    write_sample(tmp_path / "data", train=1, validation=1)
    write_study_file(tmp_path / "study.yaml", tmp_path / "data", Options(), choose_weights=lambda: "coco")
    specification = load_study_file(tmp_path / "study.yaml")
    assert specification.detector.weights == "coco"
    assert specification.space.fixed() == {"anchor_scales": 1, "anchor_ratios": 3}
