"""The study file that `launch --data` writes fits the weights that it begins with."""

from pathlib import Path

import pytest

from detector.data.sample_data import write_sample
from search.study.first_launch import write_study_file
from search.study.specification import Specification
from search.study.study_file import Options, load_study_file
from spaces.faster_rcnn import Space
from spaces.fine_tuning import FINE_TUNING
from spaces.parameters import Fixed
from tests.support.trained_file import BACKBONE_ALONE, WHOLE, trained


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_sample(tmp_path / "data", train=1, validation=1)
    (tmp_path / "studies").mkdir()


def written(weights: str | None) -> Specification:
    """The study of a file in a folder of its own, beside the data and the weights."""
    file = Path("studies/study.yaml")
    assert write_study_file(file, Path("data"), Options(weights=weights))
    return load_study_file(file)


def test_a_whole_detector_is_searched_around_what_others_fine_tune_with(tmp_path: Path) -> None:
    trained(tmp_path / "weights.safetensors", WHOLE)
    space = written("weights.safetensors").space
    assert {name: space.parameters[name] for name in FINE_TUNING} == FINE_TUNING
    assert space.fixed() == {"anchor_scales": 1, "anchor_ratios": 3}
    assert space.parameters["anchor_scales"] == Fixed(value=1)


def test_a_backbone_is_searched_in_the_default_space(tmp_path: Path) -> None:
    trained(tmp_path / "weights.safetensors", BACKBONE_ALONE)
    assert written("weights.safetensors").space == Space.default()


@pytest.mark.parametrize("weights", ["imagenet", "none"])
def test_named_weights_stand_in_the_file_as_they_are(weights: str) -> None:
    specification = written(weights)
    assert specification.detector.weights == weights
    assert specification.space == Space.default()


def test_a_file_of_weights_is_found_from_another_folder(tmp_path: Path) -> None:
    trained(tmp_path / "weights.safetensors")
    assert Path(written("weights.safetensors").detector.weights) == tmp_path / "weights.safetensors"
    assert '"../weights.safetensors"' in (tmp_path / "studies/study.yaml").read_text()
