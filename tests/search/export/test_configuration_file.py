import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import Canvas, Detector, Hyperparameters
from search.export.configuration_file import Configuration, Provenance, read_configuration, write_configuration
from search.study.data_section import Data, Split
from search.study.document import StudyFileError
from spaces.faster_rcnn import Space


def configuration(hyperparameters=None, **provenance):
    facts = {
        "study": "cells",
        "trial": 3,
        "ap": 0.41,
        "images": 1200,
        "budget_images": 1200,
        "seed": 7,
        "code_version": "0.1.0",
        "dataset_fingerprint": "abc",
        "exported_at": "2026-01-02T03:04:05+00:00",
        "packages": {"keras": "3.15.0"},
    }
    return Configuration(
        hyperparameters=hyperparameters or Hyperparameters(),
        detector=Detector(canvas=Canvas(height_px=128, width_px=160), weights="imagenet"),
        classes=("red cell", "ünïcode", "on", "1", "1e3"),
        data=Data(folder=Path("/data")),
        provenance=Provenance(**(facts | provenance)),
    )


def test_a_configuration_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "best.yaml"
    write_configuration(path, configuration())
    assert read_configuration(path) == configuration()


@settings(max_examples=30, deadline=None)
@given(
    lr=st.floats(1e-4, 0.1),
    momentum=st.floats(0.8, 0.98),
    decay_gap=st.floats(0.1, 0.9),
    study=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_no_digit_and_no_character_is_lost(tmp_path_factory, lr, momentum, decay_gap, study):
    space = Space.default()
    point = space.reference() | {"lr_per_16": lr, "momentum": momentum, "decay_gap": decay_gap}
    written = configuration(space.configuration(point), study=study)
    path = tmp_path_factory.mktemp("a") / "best.yaml"
    write_configuration(path, written)
    assert read_configuration(path) == written


def test_every_hyperparameter_stands_in_the_file(tmp_path):
    path = tmp_path / "best.yaml"
    write_configuration(path, configuration())
    text = path.read_text()
    assert all(f"{name}:" in text for name in Hyperparameters.__dataclass_fields__)


def test_relative_paths_of_the_data_are_taken_from_the_files_folder(tmp_path):
    split = Split(images=Path("images"), annotations=Path("train.json"))
    path = tmp_path / "best.yaml"
    write_configuration(path, replace(configuration(), data=Data(train=split)))
    assert read_configuration(path).data.train.images == tmp_path / "images"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "best.yaml"
    write_configuration(path, configuration())

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StudyFileError, match=r"best\.yaml: cannot be written \(No space left on device\)"):
        write_configuration(path, configuration(ap=0.9))
    assert read_configuration(path) == configuration()
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(StudyFileError, match=r"absent/best\.yaml: cannot be written"):
        write_configuration(tmp_path / "absent" / "best.yaml", configuration())
