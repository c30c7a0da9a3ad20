"""Every failing file is given back without its cause, whatever its trial did; a finished training is not repeated."""

from pathlib import Path

import pytest

from benchmarks.parts.finished import Finished, Training
from benchmarks.parts.mended_file import CANNOT_SHOW, FAILING, Bench, file_given_back
from detector.config import Canvas, Hyperparameters
from detector.data.sample_data import write_sample
from search.doctor.diagnostic import Level
from trial.outcome import Outcome
from trial.verdict import Verdict

FILES = sorted(file for file in FAILING.iterdir() if file.is_file())
HEALTHY = Verdict(outcome=Outcome.COMPLETE, step=100, images=480)
DIVERGED = Verdict(
    outcome=Outcome.DIVERGED,
    cause="loss",
    message="the loss exploded",
    step=9,
    images=40,
    evidence={"rule": "exploding"},
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("shapes")
    write_sample(folder, train=160, validation=2)
    return Bench(data=folder, canvas=Canvas(height_px=64, width_px=96), images=480)


@pytest.mark.parametrize("verdict", [HEALTHY, DIVERGED], ids=["it trained", "it diverged"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_failing_file_comes_back_without_anything_to_blame(
    bench: Bench, file: Path, verdict: Verdict, tmp_path: Path
) -> None:
    theirs = bench.imported(file)
    cause = theirs.findings[0]
    assert cause.level is not Level.NOTE
    back = file_given_back(bench, file, theirs, verdict, tmp_path / file.name)
    assert back.unwritten == ()
    assert back.changes
    blamed = [each.name for each in back.found.findings if each.level is not Level.NOTE]
    assert blamed == []
    if verdict.outcome is Outcome.COMPLETE and cause.name in CANNOT_SHOW and cause.name != "schedule-too-long":
        assert back.hyperparameters == theirs.zero.hyperparameters
    if verdict is DIVERGED:
        own, mended = theirs.zero.hyperparameters, back.hyperparameters
        assert mended.learning_rate < own.learning_rate


def test_a_finished_training_is_not_repeated_and_a_torn_line_is_none(tmp_path: Path) -> None:
    finished = Finished(file=tmp_path / "work" / "finished.jsonl", conditions="480 images")
    ran = []

    def run() -> Training:
        ran.append(1)
        return Training(verdict=DIVERGED)

    first = finished.training(Hyperparameters(), 0, run)
    assert finished.training(Hyperparameters(), 0, run) == first == Training(verdict=DIVERGED)
    assert len(ran) == 1
    finished.training(Hyperparameters(), 1, run)
    finished.training(Hyperparameters(momentum=0.8), 0, run)
    Finished(file=finished.file, conditions="32 images").training(Hyperparameters(), 0, run)
    assert len(ran) == 4
    lines = finished.file.read_text()
    finished.file.write_text(lines[:-30])
    assert len(finished._read()) == 3
