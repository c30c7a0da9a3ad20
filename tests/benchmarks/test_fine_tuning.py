"""What fine-tuning saves is counted over all trials of a study, in the order in which they were read."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.fine_tuning import Scale, Work, comparison
from benchmarks.parts.other_shapes import CLASSES, write_other_shapes
from benchmarks.parts.readings import StudyReading, best, kept_readings, reached, write_new
from detector.data import sample_data
from search.study.specification import specification_from
from storage.connection.database import Database
from storage.study import create_study
from storage.telemetry import record_rung
from trial.reports import RungReport


def reading(trial: int, images: int, ap: float, study_images: int) -> StudyReading:
    return StudyReading(trial=trial, images=images, ap=ap, study_images=study_images)


SCRATCH_STUDY = (
    reading(0, 100, 0.0, 100),
    reading(1, 100, 0.1, 200),
    reading(1, 400, 0.3, 500),
    reading(2, 9, 0.3, 600),
)
TUNED_STUDY = (reading(0, 100, 0.2, 100), reading(1, 50, 0.31, 150), reading(1, 100, 0.5, 200))


def test_the_first_of_the_best_readings_is_the_goal_and_the_first_as_good_reaches_it() -> None:
    assert best(SCRATCH_STUDY) == SCRATCH_STUDY[2]
    assert reached(TUNED_STUDY, 0.3) == TUNED_STUDY[1]
    assert reached(TUNED_STUDY, 0.6) is None
    with pytest.raises(ValueError, match="must leave a reading"):
        best([])


def test_a_row_compares_images_of_whole_studies() -> None:
    """150 of 500 images are 30 %."""
    assert comparison(7, SCRATCH_STUDY, TUNED_STUDY) == (7, 0.3, 500, 1, 400, 150, "30%", 1, 50, 0.5)
    assert comparison(7, TUNED_STUDY, SCRATCH_STUDY)[5:] == ("–", "–", "–", "–", 0.3)


def test_readings_are_kept_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    file, storage = tmp_path / "readings.jsonl", f"sqlite:///{tmp_path / 'study.db'}"
    nowhere = {"train": {"images": str(tmp_path), "annotations": str(tmp_path / "none.json")}}
    specification = specification_from(
        {"name": "a", "storage": storage, "data": nowhere, "trainer": "analytic"}, "this test"
    )
    write_new(specification, file)  # there is no database yet
    with Database.open(storage) as database:
        study = create_study(database, "a")
        for _ in range(2):
            database.optuna.create_new_trial(study.id)
        for trial, images, ap in ((1, 100, 0.1), (0, 100, 0.2), (1, 300, 0.3)):
            metrics = {"ap": ap}
            record_rung(
                study,
                trial,
                RungReport(step=1, images=images, ap=ap, metrics=metrics, training_s=1.0, evaluation_s=1.0),
            )
            write_new(specification, file)
            write_new(specification, file)
    assert kept_readings(file) == [reading(1, 100, 0.1, 100), reading(0, 100, 0.2, 200), reading(1, 300, 0.3, 400)]


def test_a_line_that_was_cut_off_is_none(tmp_path: Path) -> None:
    file = tmp_path / "readings.jsonl"
    file.write_text('{"trial": 0, "images": 1, "ap": 0.5, "study_images": 1}\n{"trial": 1, "im')
    assert kept_readings(file) == [reading(0, 1, 0.5, 1)]


def test_a_finished_part_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []

    def searched(specification: object, folder: Path) -> list[StudyReading]:
        runs.append(folder.name)
        return list(TUNED_STUDY)

    monkeypatch.setattr("benchmarks.fine_tuning.search", searched)
    scale = Scale(source_images=8, images=96, trials=1)
    for _ in range(2):
        assert Work(tmp_path).search(scale, seed=3, weights="none") == list(TUNED_STUDY)
    assert Work(tmp_path).search(scale, seed=4, weights="none") == list(TUNED_STUDY)
    assert runs == ["scratch-3", "scratch-4"]


def test_the_other_domain_shares_no_class_with_the_sample_and_has_tight_boxes(tmp_path: Path) -> None:
    assert not set(CLASSES) & set(sample_data.CLASSES)
    folder = tmp_path / "data"
    write_other_shapes(folder, seed=1, train=6, validation=2, size_px=(64, 96))
    document = {"name": "a", "storage": "sqlite:///a.db", "data": {"folder": str(folder)}}
    train, validation = specification_from(document, "this test").data.load(seed=0)
    assert (len(train.images), len(validation.images)) == (6, 2)
    assert train.classes == CLASSES
    boxes = np.concatenate([image.training_boxes for image in train.images])
    assert not train.dropped
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= 64).all()
    assert (boxes[:, 3] <= 96).all()
