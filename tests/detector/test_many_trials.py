"""Fifty different trials on one trainer: one executable, no growth of memory."""

from pathlib import Path

import psutil
import pytest

from benchmarks.session import random_configurations
from detector.config import Canvas, Detector, Optimizer
from detector.reports import RungReport, Stopped
from detector.sample_data import write_sample
from detector.training import Trainer
from spaces.faster_rcnn import Space
from tests.detector.test_training import source

TRIALS = 50
IMAGES = 32  # two optimizer steps of the largest batch: a silent recompilation shows at the second
SETTLED_AFTER = 3  # trials, by when both optimizers and the evaluation have run
LARGEST_GROWTH = 1.03

pytestmark = pytest.mark.slow


def resident_mib() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


def test_fifty_different_trials_share_one_executable_and_no_memory_is_lost(tmp_path: Path) -> None:
    write_sample(tmp_path / "data", train=16, validation=4, size_px=(64, 64))
    space = Space.default()
    trainer = Trainer(
        train=source(tmp_path / "data", "train"),
        validation=source(tmp_path / "data", "val"),
        validation_share=0.2,
        detector=Detector(canvas=Canvas(height_px=64, width_px=64), roi_samples=16, proposals=32),
        anchors_per_cell=space.anchors_per_cell(),
        micro_batch=space.micro_batch(),
        validation_images=4,
        cache=tmp_path / "cache",
        seed=0,
    )
    configurations = random_configurations(space, TRIALS)
    adam = next(n for n, configuration in enumerate(configurations) if configuration.optimizer is Optimizer.ADAM)
    configurations.insert(1, configurations.pop(adam))  # its second moments and its update come before it is settled
    assert len({configuration.anchors for configuration in configurations}) > TRIALS / 2
    resident = []
    for number, configuration in enumerate(configurations):
        trainer.begin(configuration, seed=number, budget_images=IMAGES, directory=tmp_path / f"{number}")
        report = trainer.advance(IMAGES, lambda progress: None, lambda: False)
        assert isinstance(report, RungReport | Stopped)
        resident.append(resident_mib())
    assert (trainer.train_step.traces, trainer.predict_step.traces) == (1, 1)
    assert max(resident[SETTLED_AFTER:]) <= LARGEST_GROWTH * resident[SETTLED_AFTER - 1], resident
