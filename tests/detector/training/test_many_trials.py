"""Fifty different trials on one trainer: one executable, no growth of memory, no file but the checkpoint."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil
import pytest

from benchmarks.parts.session import random_configurations
from detector.config import Canvas, Detector, Optimizer
from detector.data.sample_data import write_sample
from detector.setup import Setup
from detector.training.trainer import Trainer
from spaces.faster_rcnn import Space
from tests.detector.training.test_trainer import source
from trial.reports import RungReport
from trial.verdict import Verdict

TRIALS = 50
CHECKPOINT_EVERY = 10  # trials
STEPS = 2  # a silent recompilation shows at the second
SETTLED_AFTER = 3  # trials, by when both optimizers and the evaluation have run
WINDOW = 9  # trials, whose median a single one's garbage does not move
LARGEST_GROWTH = 1.03

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def resident_mib() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


class Opened:
    """The files that this process opens while they are heard, by Python's own audit events."""

    def __init__(self) -> None:
        self._on = False
        self.paths: list[Path] = []
        sys.addaudithook(self._hear)  # for good: a hook can't be taken back

    @contextmanager
    def heard(self, *, on: bool) -> Iterator[None]:
        """Hear in this block, if `on`."""
        self._on = on
        yield
        self._on = False

    def _hear(self, event: str, arguments: tuple) -> None:
        if self._on and event == "open" and isinstance(arguments[0], str | os.PathLike):
            self.paths.append(Path(arguments[0]))


def test_fifty_different_trials_share_one_executable_and_no_memory_is_lost(tmp_path: Path) -> None:
    write_sample(tmp_path / "data", train=16, validation=4, size_px=(64, 64))
    space = Space.default()
    setup = Setup(
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
    trainer = Trainer(setup)
    configurations = random_configurations(space, TRIALS)
    adam = next(n for n, configuration in enumerate(configurations) if configuration.optimizer is Optimizer.ADAM)
    configurations.insert(1, configurations.pop(adam))  # its second moments and its update come before it is settled
    assert len({configuration.anchors for configuration in configurations}) > TRIALS / 2
    resident, opened = [], Opened()
    for number, configuration in enumerate(configurations):
        images = STEPS * configuration.batch_size
        directory = tmp_path / "trials" / f"{number}"
        budget = images if number % CHECKPOINT_EVERY else 2 * images  # half-way there is a checkpoint
        with opened.heard(on=number >= SETTLED_AFTER):
            trainer.begin(configuration, seed=number, budget_images=budget, directory=directory)
        resident.append(resident_mib())  # here what the last trial left free has been given back
        with opened.heard(on=number >= SETTLED_AFTER):
            report = trainer.advance(images, lambda progress: None, lambda: False)
        assert isinstance(report, RungReport | Verdict)
        shutil.rmtree(directory, ignore_errors=True)  # where it has a checkpoint: hundreds of MB
    assert any(path.is_relative_to(tmp_path / "trials") for path in opened.paths)
    assert [path for path in opened.paths if not path.is_relative_to(tmp_path / "trials")] == []
    assert (trainer.train_step.traces, trainer.predict_step.traces) == (1, 1)
    first, last = resident[SETTLED_AFTER : SETTLED_AFTER + WINDOW], resident[-WINDOW:]
    assert median(last) <= LARGEST_GROWTH * median(first), resident
