"""The real trainer through the whole service: killed after its first rung, it ends as if it had not been."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from rich.console import Console

from detector.data.sample_data import write_sample
from detector.training.checkpoint import newest_checkpoint
from search.faults import history
from search.faults.history import HistoryEvent
from search.launch.compatibility import agree
from search.launch.settled import settle
from search.plan import Plan
from search.study.specification import specification_from
from storage.connection.address import STORAGE_VARIABLE
from storage.connection.database import Database
from storage.study import create_study, find_study
from storage.telemetry import read_telemetry
from tests.support.history_checker import check_history, read_history
from tests.support.studies import load_optuna_study

RUNGS = (32, 64, 128)
PATIENCE_S = 480.0
CANARY = "c4nary-of-a-cloud"
GENTLE = {"batch_size": 4, "optimizer": "sgd", "lr_per_16": 0.02, "clip_norm": 10, "warmup_fraction": 0.05}


class Study:
    """A study of one trial, its reference, in the folder that all studies of the test share."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.url = f"sqlite:///{folder / 'study.db'}"
        self.notes = folder / f"notes-{name}"
        self.notes.mkdir()
        document = {
            "name": name,
            "storage": self.url,
            "data": {"folder": str(folder / "data")},
            "detector": {"canvas": "64x96", "roi_samples": 32},
            "space": GENTLE,
            "derived": "none",
            "budget": {"trials": 1, "images": RUNGS[-1], "rungs": list(RUNGS)},
            "pruner": {"name": "halving"},
            "watch": {"enabled": False},
        }
        specification = settle(
            specification_from(document, "this test"), Console(quiet=True), folder=folder
        ).specification
        self.directory = Plan.of(specification, folder).trial_directory(0)
        with Database.open(self.url) as database:
            agree(create_study(database, name), specification)

    def start_worker(self, number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "search.command_line", "worker", "--storage", f"env:{STORAGE_VARIABLE}"]
        options = ["--study", self.name, "--folder", str(self.folder), "--checked", "--lease-s", "5"]
        ours = {STORAGE_VARIABLE: self.url, history.VARIABLE: str(self.notes), "CLOUD_SECRET_KEY": CANARY}
        environment = {**os.environ, **ours}
        with self.log(number).open("wb") as log:
            return subprocess.Popen([*command, *options], env=environment, stdout=log, stderr=log)

    def log(self, number: int) -> Path:
        return self.folder / f"{self.name}-{number}.log"

    def keep_second_checkpoint(self) -> Path:
        """A copy of the checkpoint of the second rung, which goes with the end of the trial."""
        copy = self.folder / f"kept-{self.name}"
        wait_until(lambda: (self.directory / f"checkpoint-{RUNGS[1]:08d}").exists())
        shutil.copytree(self.directory / f"checkpoint-{RUNGS[1]:08d}", copy / f"checkpoint-{RUNGS[1]:08d}")
        return copy

    def reported(self) -> dict[int, float]:
        with Database.open(self.url) as database:
            return load_optuna_study(database, self.name).trials[0].intermediate_values

    def losses(self) -> dict[int, float]:
        with Database.open(self.url) as database:
            return {point.step: point.figures["loss"] for point in read_telemetry(find_study(database, self.name), 0)}


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def kill_with_trainer(worker: subprocess.Popen[bytes]) -> None:
    """Both at once, as when a machine dies."""
    for process in (psutil.Process(worker.pid), *psutil.Process(worker.pid).children()):
        process.kill()
    assert worker.wait(30) == -signal.SIGKILL


@pytest.mark.slow
def test_a_trial_that_was_killed_and_resumed_by_another_worker_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    write_sample(tmp_path / "data", train=12, validation=4, size_px=(64, 96))
    whole = Study("whole", tmp_path)
    worker = whole.start_worker(1)
    expected = newest_checkpoint(whole.keep_second_checkpoint())
    assert worker.wait(PATIENCE_S) == 0, whole.log(1).read_text()

    broken = Study("broken", tmp_path)
    first = broken.start_worker(1)
    wait_until(lambda: any(line["event"] == HistoryEvent.REPORT for line in read_history(broken.notes)))
    kill_with_trainer(first)
    assert list(broken.reported()) == [RUNGS[0]]
    second = broken.start_worker(2)
    found = newest_checkpoint(broken.keep_second_checkpoint())
    assert second.wait(PATIENCE_S) == 0, broken.log(2).read_text()

    assert f"trial 0 goes on after {RUNGS[0]} images" in broken.log(2).read_text()
    with Database.open(broken.url) as database:
        lines = read_history(broken.notes)
        check_history(database, "broken", lines, trials=1, rungs=RUNGS, killed=[first.pid])
    assert broken.reported() == pytest.approx(whole.reported(), abs=1e-3)
    assert broken.losses() == pytest.approx(whole.losses(), rel=1e-3)
    assert expected is not None
    assert found is not None
    assert (found.images, found.step) == (expected.images, expected.step)
    for name, array in expected.arrays.items():
        np.testing.assert_allclose(found.arrays[name], array, rtol=1e-3, atol=1e-5, err_msg=name)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"state.safetensors", "MANIFEST.json", "study.db"} <= {path.name for path in files}
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
