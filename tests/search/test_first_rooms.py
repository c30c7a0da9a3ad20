"""A study as the program before the rooms left it opens, goes on and explains as it did then."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detector.data.sample_data import write_sample
from search.command_line import app
from storage.connection.database import Database
from storage.outcomes import outcomes_by_trial
from storage.standings import count_standings, left_behind
from storage.study import StoredStudy, find_study, read_trials
from storage.telemetry import read_rungs
from trial.outcome import Outcome
from trial.standing import Standing

pytestmark = pytest.mark.bulk  # each copies and opens a whole study

LEFT = Path(__file__).resolve().parents[1] / "fixtures" / "first_rooms"
STUDY = "before rooms"
INTERRUPTED = 19  # its worker was killed with an evaluation on disk that the database did not have


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_sample(folder, seed=0)
    return folder


@pytest.fixture
def folder(tmp_path: Path, data: Path) -> Path:
    """The study's folder; paths in its database are those of this machine."""
    shutil.copytree(LEFT, tmp_path, dirs_exist_ok=True)
    shutil.copytree(data, tmp_path / "data")
    with sqlite3.connect(tmp_path / f"{STUDY}.db") as connection:
        connection.executescript((LEFT / "study.sql").read_text().replace("@FOLDER@", str(tmp_path)))
    connection.close()
    return tmp_path


def run(folder: Path, *arguments: str | Path) -> str:
    command, *options = arguments
    result = CliRunner().invoke(app, [str(command), str(folder / "study.yaml"), *map(str, options)])
    assert result.exit_code == 0, result.output
    return result.output


def stored(folder: Path) -> StoredStudy:
    return find_study(Database.open(f"sqlite:///{folder / STUDY}.db"), STUDY)


def test_it_stands_as_it_stood(folder):
    study = stored(folder)
    assert count_standings(study) == {Standing.FINISHED: 12, Standing.REFUSED: 7, Standing.LEFT_BEHIND: 1}
    assert left_behind(study) == [INTERRUPTED]
    outcomes = outcomes_by_trial(study)
    counts = {outcome: list(outcomes.values()).count(outcome) for outcome in set(outcomes.values())}
    assert counts == {Outcome.COMPLETE: 2, Outcome.OUTRANKED: 8, Outcome.DIVERGED: 2, Outcome.RISKY: 7}
    study.database.close()


def test_its_status_is_told(folder):
    status = json.loads(run(folder, "status", "--json"))
    assert (status["finished"], status["refused"], status["budget_trials"]) == (12, 7, 16)
    assert (status["best"]["number"], round(status["best"]["ap"], 3)) == (0, 0.493)
    assert status["outcomes"] == {"outranked": 8, "risky": 7, "complete": 2, "diverged": 2}
    assert status["claimable"] == [INTERRUPTED]


def test_it_goes_on_where_it_was_left(folder, monkeypatch):
    monkeypatch.chdir(folder)
    study = stored(folder)
    before = {trial.number: trial.params for trial in read_trials(study)}
    assert [rung.images for rung in read_rungs(study, INTERRUPTED)] == []
    run(folder, "launch", "--trials", "16")
    trials = read_trials(study)
    assert {number: trials[number].params for number in before} == before
    rungs = read_rungs(study, INTERRUPTED)
    assert (rungs[0].images, rungs[0].ap) == (100, 0.08694898709133525)  # from its first owner's outbox
    assert all(trial.state.is_finished() for trial in trials)
    assert count_standings(study)[Standing.FINISHED] == 16
    assert not list((folder / "trials").rglob("outbox-*"))
    study.database.close()


def test_it_is_explained_as_it_was(folder):
    study = json.loads(run(folder, "explain", "--json", "--without-data"))
    assert (study["ended"], study["failed"], study["refused"]) == (12, 2, {"risky": 7})
    assert study["best"]["trial"] == 0
    assert [(cause["cause"], cause["trials"]) for cause in study["causes"]] == [("learning rate too high", [1, 8])]
    trial = json.loads(run(folder, "explain", "1", "--json", "--without-data"))
    assert (trial["outcome"], trial["term"], trial["step"]) == ("diverged", "loss_rpn_class", 12)
    assert trial["repair"]["parameter"] == "lr_per_16"
    assert len(trial["curve"]) > 1


def test_its_best_configuration_is_exported(folder):
    run(folder, "export", "--output", folder / "best.yaml")
    text = (folder / "best.yaml").read_text()
    assert "trial: 0" in text
    assert "lr_per_16: 0.02" in text
