"""Every failing file is given back without its cause, whatever its trial did; a finished training is not repeated."""

from pathlib import Path

import pytest

from benchmarks.parts.finished import Finished, Training
from benchmarks.parts.mended_file import CANNOT_SHOW, FAILING, Bench, file_given_back
from benchmarks.parts.mended_table import Case, table_of
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
        assert mended.learning_rate <= 0.02 * mended.batch_size / 16  # all have SGD


def case(bench: Bench, name: str, tmp_path: Path, *pairs: tuple[Training, Training]) -> Case:
    file = FAILING / name
    theirs = bench.imported(file)
    back = file_given_back(bench, file, theirs, pairs[0][0].verdict, tmp_path / name)
    return Case(file=file, theirs=theirs, back=back, pairs=list(pairs))


def test_the_table_counts_what_failed_and_trains_now_and_says_where_a_fault_cannot_show(
    bench: Bench, tmp_path: Path
) -> None:
    failed = Training(verdict=DIVERGED, losses=(3.0, 9e9))
    poor, good = (Training(verdict=HEALTHY, ap=ap, ap50=2 * ap, losses=(4.0, 3.0, 2.0, 1.0)) for ap in (0.001, 0.2))
    cases = [
        case(bench, "eight_gpus.yaml", tmp_path, (failed, good), (failed, poor)),
        case(bench, "one_list.yaml", tmp_path, (poor, good), (poor, good)),
        case(bench, "unit_means.yaml", tmp_path, (good, good), (good, good)),
    ]
    table, notes = table_of(cases, bench, 0.01)
    rows = [dict(zip(table.columns[:6] + table.columns[7:8], row[:6] + row[7:8], strict=True)) for row in table.rows]
    assert [row["theirs"] for row in rows] == [
        "trained in 0 of 2, diverged (exploding) in 2",
        "trained in 2 of 2",
        "cannot fail so: pixels are prepared here as the study's weights expect them; trained in 2 of 2",
    ]
    assert [row["AP"] for row in rows] == ["–", "0.001", "0.200"]
    assert [row["given back"] for row in rows] == [
        "trained in 2 of 2; better than untrained in 1",
        "trained in 2 of 2; better than untrained in 2",
        "trained in 2 of 2; better than untrained in 2",
    ]
    assert table.rows[0][9] == "0.101"  # of 0.2 and 0.001, of 0.1005
    assert table.rows[1][4] == "3 → 2"  # (4 + 3 + 2) / 3 and (3 + 2 + 1) / 3
    assert {row[-1] for row in table.rows} == {2}
    assert "2 have a fault that a trial here can have. 1 of these did not train" in notes[0]
    assert "of those 1 do so as they are given back" in notes[0]
    assert "Of the other 1, whose fault costs accuracy, 1 have a higher AP" in notes[0]
    assert "gone from 3 of 3 files" in notes[0]


def test_a_finished_training_is_not_repeated_and_a_torn_line_is_none(tmp_path: Path) -> None:
    finished = Finished(file=tmp_path / "work" / "finished.jsonl", conditions="480 images")
    ran = []

    def run() -> Training:
        ran.append(1)
        return Training(verdict=DIVERGED, losses=(2.5, 9e9))

    first = finished.training(Hyperparameters(), 0, run)
    assert finished.training(Hyperparameters(), 0, run) == first == Training(verdict=DIVERGED, losses=(2.5, 9e9))
    assert len(ran) == 1
    finished.training(Hyperparameters(), 1, run)
    finished.training(Hyperparameters(momentum=0.8), 0, run)
    Finished(file=finished.file, conditions="32 images").training(Hyperparameters(), 0, run)
    assert len(ran) == 4
    lines = finished.file.read_text()
    finished.file.write_text(lines[:-30])
    assert len(finished._read()) == 3
