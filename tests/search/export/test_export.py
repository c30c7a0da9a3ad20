"""The export of the hand-made study, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml

from detector.config import ConfigError, Optimizer
from detector.data.dataset import load_dataset
from detector.data_source import DataFormat, DataSource
from search.export.configuration_file import read_configuration
from search.export.export import choose, export
from search.report.ranking import RankedTrial, ranking
from search.study.specification import Specification
from search.study.study_file import load_study_file
from storage.connection.database import Database
from storage.study import find_study
from tests.support.framework_files import python_values
from tests.support.studies import create_optuna_study
from trial.outcome import Outcome


@pytest.fixture
def specification(study_file: Path) -> Specification:
    return load_study_file(study_file)


def test_the_best_trial_comes_back_complete_with_its_provenance(
    database: Database, study: optuna.Study, specification: Specification, tmp_path: Path, sample: Path
) -> None:
    output = tmp_path / "exported" / "best.yaml"
    output.parent.mkdir()
    (line,) = export(find_study(database, specification.name), specification, output=output).lines
    assert "trial 3, AP 0.420 after 324 images" in line
    read = read_configuration(output)
    assert (read.hyperparameters.lr_per_16, read.hyperparameters.batch_size) == (0.04, 12)
    assert read.hyperparameters.optimizer is Optimizer.SGD
    assert read.hyperparameters == specification.space.configuration(study.get_trials()[3].params)
    assert read.detector.micro_batch == 4  # the greatest that divides 4, 8, 12 and 16
    assert sorted(read.classes) == ["disc", "square", "triangle"]
    found = read.provenance
    assert (found.study, found.trial, found.ap, found.images, found.budget_images) == ("blood cells", 3, 0.42, 324, 320)
    assert found.anchor_slots == specification.space.anchors_per_cell()  # the RPN head that the trial began with
    assert len(found.dataset_fingerprint) == 64
    assert set(found.packages) == {"keras", "numpy", "optuna", "tensorflow"}
    assert read.data.folder == sample


def test_the_file_holds_no_absolute_path_and_no_database(
    database: Database, study: optuna.Study, specification: Specification, tmp_path: Path
) -> None:
    output = tmp_path / "best.yaml"
    export(find_study(database, specification.name), specification, output=output, trial=None)
    text = output.read_text()
    assert 'folder: "../' in text
    assert "sqlite" not in text
    assert str(tmp_path.parent) not in text


def test_another_trial_can_be_chosen_and_an_export_replaced(
    database: Database, study: optuna.Study, specification: Specification, tmp_path: Path
) -> None:
    output = tmp_path / "best.yaml"
    export(find_study(database, specification.name), specification, output=output, trial=None)
    export(find_study(database, specification.name), specification, output=output, trial=1)
    assert read_configuration(output).provenance.trial == 1


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        (2, "trial 2 ended as diverged: the RPN's box loss exploded"),
        (6, "no trial 6; those that have begun are 0, 1, 2, 3, 4, 5"),
        (99, "no trial 99"),
    ],
)
def test_a_trial_that_cannot_work_or_is_not_there_is_refused_with_the_reason(
    database: Database, study: optuna.Study, specification: Specification, tmp_path: Path, trial: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        export(find_study(database, specification.name), specification, output=tmp_path / "best.yaml", trial=trial)
    assert not (tmp_path / "best.yaml").exists()


def test_a_proposal_that_was_refused_is_not_exported() -> None:
    trial = {"ap": None, "ap_error": None, "training_s": 0.0, "rung": 0, "images": 0, "state": "pruned"}
    why = {"outcome": Outcome.RISKY, "cause": "learning rate", "words": "learning rate"}
    refused = RankedTrial(rank=None, number=3, feasible=False, parameters={}, **why, **trial)
    with pytest.raises(ConfigError, match=r"trial 3 was never trained \(risky\)"):
        choose([refused], 3)


def test_a_study_without_any_value_has_nothing_to_export(
    database: Database, specification: Specification, tmp_path: Path
) -> None:
    create_optuna_study(database, specification.name).ask()
    assert ranking(find_study(database, specification.name))[0].ap is None
    with pytest.raises(ConfigError, match="no trial has a value yet"):
        export(find_study(database, specification.name), specification, output=tmp_path / "best.yaml", trial=None)


def test_a_file_that_is_no_export_is_left_alone(
    database: Database, study: optuna.Study, specification: Specification, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(ConfigError, match="is not an export"):
        export(find_study(database, specification.name), specification, output=tmp_path / "thesis.txt", trial=None)
    assert (tmp_path / "thesis.txt").read_text() == "ten years of work"


def test_the_file_is_what_the_study_was_launched_with_not_what_the_study_file_says_now(
    database: Database, study: optuna.Study, study_file: Path, tmp_path: Path
) -> None:
    study_file.write_text(study_file.read_text().replace("96x128", "192x256"))
    export(
        find_study(database, study.study_name), load_study_file(study_file), output=tmp_path / "best.yaml", trial=None
    )
    assert str(read_configuration(tmp_path / "best.yaml").detector.canvas) == "96x128"


def test_every_format_is_written_into_a_folder_with_one_record(
    database: Database, study: optuna.Study, specification: Specification, tmp_path: Path
) -> None:
    folder = tmp_path / "all of it"
    written = export(find_study(database, specification.name), specification, output=folder, format="all")
    record = json.loads((folder / "export.json").read_text())["exports"]
    assert set(record) == {"detectron2", "mmdet", "torchvision", "tf-od", "tfm"}
    files = {file for entry in record.values() for file in entry["files"]}
    assert {each.name for each in folder.iterdir()} == files | {
        "best.yaml", "export.json", "train.json", "validation.json"
    }  # fmt: skip
    assert read_configuration(folder / "best.yaml").provenance.trial == 3
    assert written.lines[1] == "schedule for 320 images = 27 iterations of 12"


def test_a_folder_that_is_not_there_yet_is_made_for_another_framework(
    database: Database, study: optuna.Study, specification: Specification, tmp_path: Path
) -> None:
    written = export(find_study(database, specification.name), specification, output=tmp_path / "new", format="mmdet")
    assert written.lines[0].startswith(f"wrote {tmp_path / 'new' / 'mmdet_config.py'}: trial 3")


def test_the_length_of_a_training_elsewhere_can_be_said(
    database: Database, study: optuna.Study, specification: Specification, tmp_path: Path
) -> None:
    stored = find_study(database, specification.name)
    export(stored, specification, output=tmp_path / "c.yaml", format="tfm", images=1200)
    assert yaml.safe_load((tmp_path / "c.yaml").read_text())["trainer"]["train_steps"] == 100
    with pytest.raises(ConfigError, match="--images is the length of a training by another framework"):
        export(stored, specification, output=tmp_path / "best.yaml", images=1200)


def test_the_splits_beside_an_export_are_those_that_the_study_trained_on(
    database: Database, study: optuna.Study, specification: Specification, tmp_path: Path, sample: Path
) -> None:
    export(find_study(database, specification.name), specification, output=tmp_path / "x", format="all")
    source = DataSource(format=DataFormat.COCO, images=sample / "images", annotations=tmp_path / "x" / "train.json")
    train, validation = specification.data.load(seed=0)
    read = load_dataset(source)
    assert read.classes == train.classes
    assert [image.name for image in read.images] == [image.name for image in train.images]
    assert np.concatenate([image.boxes for image in read.images]) == pytest.approx(
        np.concatenate([image.boxes for image in train.images]), abs=1e-4
    )
    document = json.loads((tmp_path / "x" / "validation.json").read_text())
    assert [image["file_name"] for image in document["images"]] == [image.name for image in validation.images]
    settings = python_values((tmp_path / "x" / "torchvision_train.py").read_text())["TRAINING"]
    assert (tmp_path / "x" / settings["train_images"]).resolve() == sample / "images"
