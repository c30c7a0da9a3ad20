"""The real trainer on made-up images: resets, resumes, stops, and learns."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from detector.backend import to_host
from detector.config import (
    Anchors,
    Augmentation,
    BackboneName,
    Canvas,
    Detector,
    Hyperparameters,
    Optimizer,
    Precision,
)
from detector.data.sample_data import write_sample
from detector.data_source import DataFormat, DataSource
from detector.setup import Setup
from detector.training import trainer as training
from detector.training.trainer import LOOK_EVERY_STEPS, WEIGHTS_FILE, Trainer
from search.trainer.protocol import MOST_STEPS_UNSAID
from trial.reports import PausedReport, ProgressReport, RungReport
from trial.verdict import Verdict

FITTING = Anchors(sizes_px=((12.0,), (24.0,), (48.0,), (96.0,), (192.0,)))
GENTLE = Hyperparameters(
    anchors=FITTING,
    batch_size=4,
    lr_per_16=0.04,
    clip_norm=10.0,
    warmup_fraction=0.05,
    augmentation=Augmentation(flip_probability=0.0),
)


def source(folder: Path, name: str) -> DataSource:
    return DataSource(format=DataFormat.COCO, images=folder / "images", annotations=folder / f"{name}.json")


def trainer_on(
    folder: Path,
    cache: Path,
    *,
    height_px: int,
    width_px: int,
    backbone: BackboneName = BackboneName.RESNET50,
    precision: Precision = Precision.FLOAT32,
    measure_micro_batch: bool = False,
) -> Trainer:
    canvas = Canvas(height_px=height_px, width_px=width_px)
    setup = Setup(
        train=source(folder, "train"),
        validation=source(folder, "val"),
        validation_share=0.2,
        detector=Detector(canvas=canvas, backbone=backbone, roi_samples=32, precision=precision),
        anchors_per_cell=3,
        micro_batch=4,
        validation_images=None,
        cache=cache,
        seed=0,
        measure_micro_batch=measure_micro_batch,
    )
    return Trainer(setup)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, train=12, validation=4, size_px=(64, 96))
    cache, backbone = tmp_path_factory.mktemp("cache"), BackboneName.RESNET18  # the slow tests have a ResNet-50
    return trainer_on(folder, cache, height_px=64, width_px=96, backbone=backbone)


class Diary:
    """Keeps every progress report, and asks for a pause after so many."""

    def __init__(self, pause_after_asks: int = 10**9) -> None:
        self.reports: list[ProgressReport] = []
        self._asks_left = pause_after_asks

    def note(self, report: ProgressReport) -> None:
        self.reports.append(report)

    def should_pause(self) -> bool:
        self._asks_left -= 1
        return self._asks_left < 0


def advance(trainer: Trainer, to_images: int, diary: Diary) -> RungReport | PausedReport | Verdict:
    return trainer.advance(to_images, diary.note, diary.should_pause)


def losses_of(trainer: Trainer, folder: Path, hyperparameters: Hyperparameters = GENTLE, seed: int = 3) -> list[float]:
    """Total loss of each step of a whole trial of 16 images."""
    diary = Diary()
    trainer.begin(hyperparameters, seed=seed, budget_images=16, directory=folder)
    assert isinstance(advance(trainer, 16, diary), RungReport)
    assert len(diary.reports) == 16 // hyperparameters.batch_size
    return [report.figures["loss"] for report in diary.reports]


def test_a_trial_is_the_same_whatever_ran_before_it(trainer: Trainer, tmp_path: Path) -> None:
    alone = losses_of(trainer, tmp_path / "a")
    losses_of(trainer, tmp_path / "b", dataclasses.replace(GENTLE, lr_per_16=0.001, batch_size=8), seed=4)
    assert losses_of(trainer, tmp_path / "c") == pytest.approx(alone, rel=1e-4)


def test_a_trial_that_could_not_begin_leaves_none_to_be_trained(trainer: Trainer, tmp_path: Path) -> None:
    trainer.begin(GENTLE, seed=0, budget_images=32, directory=tmp_path / "before")
    too_many = dataclasses.replace(GENTLE, anchors=dataclasses.replace(FITTING, ratios=(0.5, 1.0, 1.5, 2.0)))
    with pytest.raises(ValueError, match="anchors"):
        trainer.begin(too_many, seed=0, budget_images=32, directory=tmp_path / "too many")
    with pytest.raises(RuntimeError, match="no trial was begun"):
        advance(trainer, 8, Diary())


def test_other_seeds_give_other_trials(trainer: Trainer, tmp_path: Path) -> None:
    assert losses_of(trainer, tmp_path / "a") != pytest.approx(losses_of(trainer, tmp_path / "b", seed=4), rel=1e-3)


def test_a_paused_trial_goes_on_as_if_it_had_not_been(trainer: Trainer, tmp_path: Path) -> None:
    whole = Diary()
    trainer.begin(GENTLE, seed=1, budget_images=32, directory=tmp_path / "whole")
    uninterrupted = advance(trainer, 24, whole)

    trainer.begin(GENTLE, seed=1, budget_images=32, directory=tmp_path / "parts")
    paused = advance(trainer, 24, Diary(pause_after_asks=3))
    assert paused == PausedReport(images=12)
    losses_of(trainer, tmp_path / "between")
    rest = Diary()
    assert trainer.begin(GENTLE, seed=1, budget_images=32, directory=tmp_path / "parts") == 12
    resumed = advance(trainer, 24, rest)

    assert isinstance(uninterrupted, RungReport)
    assert isinstance(resumed, RungReport)
    assert rest.reports[-1].figures["loss"] == pytest.approx(whole.reports[-1].figures["loss"], rel=1e-3)
    assert resumed.ap == pytest.approx(uninterrupted.ap, abs=0.02)


def test_a_learning_rate_100_times_too_high_ends_as_diverged_within_20_steps(trainer: Trainer, tmp_path: Path) -> None:
    wild = dataclasses.replace(GENTLE, lr_per_16=100 * GENTLE.lr_per_16, clip_norm=1e9)
    trainer.begin(wild, seed=0, budget_images=400, directory=tmp_path)
    report = advance(trainer, 400, diary := Diary())
    assert isinstance(report, Verdict)
    assert report.outcome == "diverged"
    assert report.cause
    assert report.evidence["learning_rate"] > 0
    seen_at = diary.reports[-1].step
    assert seen_at - report.step <= 20
    assert seen_at < 20
    assert [each.step for each in diary.reports] == [*range(seen_at + 1)]  # all on the way to a fault
    assert list(tmp_path.iterdir()) == []  # no checkpoint of a trial that is over


def test_a_learning_rate_of_nearly_nothing_ends_as_not_learning(trainer: Trainer, tmp_path: Path) -> None:
    dead = dataclasses.replace(GENTLE, lr_per_16=1e-12)
    trainer.begin(dead, seed=0, budget_images=160, directory=tmp_path)
    report = advance(trainer, 160, Diary())
    assert isinstance(report, Verdict)
    assert (report.outcome, report.cause) == ("not learning", "update too small")


def test_a_diverged_trial_names_its_batch_and_is_not_blamed_on_the_images(trainer: Trainer, tmp_path: Path) -> None:
    wild = dataclasses.replace(GENTLE, lr_per_16=1e4, clip_norm=1e9)
    trainer.begin(wild, seed=0, budget_images=40, directory=tmp_path)
    report = advance(trainer, 40, Diary())
    assert isinstance(report, Verdict)
    assert (report.outcome, report.study_wide) == ("diverged", False)
    names = str(report.evidence["images"]).split("\n")
    assert len(names) == GENTLE.batch_size
    assert {name.rstrip("0123456789.png") for name in names} == {"train_"}


def test_the_watch_waits_for_the_device_once_a_logging_interval(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []
    steps_seen: list[int] = []

    def counted(tensor: Any) -> Any:
        waits.append(1)
        return to_host(tensor)

    def note(report: ProgressReport) -> None:
        steps_seen.append(report.step)
        counts.append(len(waits))

    counts: list[int] = []
    trainer.begin(GENTLE, seed=0, budget_images=400, directory=tmp_path)
    monkeypatch.setattr(training, "to_host", counted)
    monkeypatch.setattr(training, "STEPS_PER_LATE_STEP", 2)
    monkeypatch.setattr(training, "LOOK_EVERY_STEPS", 3)
    assert isinstance(trainer.advance(48, note, Diary(pause_after_asks=9).should_pause), PausedReport)
    # After 1 and 2 steps; 2 unseen of 4 (half of them), 3 of 7 (as many as may be), and the last one before the pause.
    assert steps_seen == [0, 1, 3, 6, 8]
    assert counts == [1, 2, 3, 4, 5]


def test_the_end_of_the_budget_leaves_the_weights_that_were_asked_for_and_where_a_longer_training_goes_on(
    trainer: Trainer, tmp_path: Path
) -> None:
    trainer.begin(GENTLE, seed=0, budget_images=8, directory=tmp_path, keep_weights=True)
    advance(trainer, 4, Diary())
    advance(trainer, 8, Diary())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-00000008", WEIGHTS_FILE]
    assert trainer.begin(GENTLE, seed=0, budget_images=16, directory=tmp_path, keep_weights=True) == 8


def test_who_waits_for_a_trainer_hears_of_it_often_enough(trainer: Trainer, tmp_path: Path) -> None:
    """What search/trainer/watchdog.py builds on: figures every ten steps, a sign for each batch evaluated."""
    assert LOOK_EVERY_STEPS <= MOST_STEPS_UNSAID
    trainer.begin(GENTLE, seed=0, budget_images=8, directory=tmp_path)
    told: list[tuple[str, int, int]] = []
    diary = Diary()
    trainer.advance(8, diary.note, diary.should_pause, lambda *what: told.append(what))
    assert told[-1] == ("evaluating", 0, 4)  # its four images are one batch
    assert told[:-1] in ([], [("compiling the first step", 0, 1)])  # another test's trial may have compiled it


def test_all_of_these_trials_shared_one_executable(trainer: Trainer, tmp_path: Path) -> None:
    losses_of(trainer, tmp_path)
    assert (trainer.train_step.traces, trainer.predict_step.traces) == (1, 1)


@pytest.mark.slow
def test_a_measured_micro_batch_is_kept_and_its_steps_are_compiled_once(tmp_path: Path) -> None:
    write_sample(tmp_path / "data", train=8, validation=4, size_px=(64, 96))
    first = trainer_on(tmp_path / "data", tmp_path / "cache", height_px=64, width_px=96, measure_micro_batch=True)
    assert first.shape.micro_batch in (4, 2, 1)
    losses_of(first, tmp_path / "trial")
    assert (first.train_step.traces, first.predict_step.traces) == (1, 1)
    second = trainer_on(tmp_path / "data", tmp_path / "cache", height_px=64, width_px=96, measure_micro_batch=True)
    assert second.shape == first.shape
    assert second.train_step.traces == 0  # it was not measured again


def validate_on_training_images(folder: Path) -> None:
    """Make the validation data the training images, under other names: the same ones would be refused."""
    document = json.loads((folder / "train.json").read_text())
    for image in document["images"]:
        copy = f"again_{image['file_name']}"
        shutil.copy(folder / "images" / image["file_name"], folder / "images" / copy)
        image["file_name"] = copy
    (folder / "val.json").write_text(json.dumps(document))


@pytest.mark.slow
@pytest.mark.parametrize("precision", Precision)
def test_eight_images_are_learnt_by_heart(tmp_path: Path, precision: Precision) -> None:
    write_sample(tmp_path / "data", train=8, validation=4)
    validate_on_training_images(tmp_path / "data")
    trainer = trainer_on(tmp_path / "data", tmp_path / "cache", height_px=96, width_px=128, precision=precision)
    images = 800
    adam = dataclasses.replace(GENTLE, optimizer=Optimizer.ADAM, lr_per_16=4e-4, decay_boundaries=(0.8,))
    trainer.begin(adam, seed=0, budget_images=images, directory=tmp_path / "trial")
    report = advance(trainer, images, Diary())
    assert isinstance(report, RungReport)
    assert report.metrics["ap50"] > 0.9
