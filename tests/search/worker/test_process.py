import os
import subprocess
import sys
import time

import pytest

from search.launch.compatibility import agree
from search.study.specification import Specification, specification_from
from storage.connection.address import STORAGE_VARIABLE
from storage.connection.database import Database
from storage.study import create_study
from tests.support.studies import load_optuna_study


@pytest.fixture
def specification(tmp_path) -> Specification:
    """A study of three analytic trials, ready to be worked on."""
    document = {
        "name": "analytic",
        "storage": f"sqlite:///{tmp_path / 'study.db'}",
        "trainer": "analytic",
        "data": {"train": {"images": str(tmp_path), "annotations": str(tmp_path / "train.json")}},
        "detector": {"canvas": "128x128"},
        "budget": {"trials": 3, "images": 1440},
    }
    made = specification_from(document, "this test")
    with Database.open(made.storage) as database:
        agree(create_study(database, made.name), made)
    return made


def begin(tmp_path, *options: str, study: str = "analytic", **environment: str) -> subprocess.Popen:
    program = (sys.executable, "-P", "-m", "search.command_line", "worker", "--storage", f"env:{STORAGE_VARIABLE}")
    return subprocess.Popen(
        [*program, "--study", study, "--folder", str(tmp_path), *options],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait(process: subprocess.Popen) -> tuple[int, str, str]:
    """Exit code and both outputs, with the standard input left open until the end."""
    code = process.wait(60)
    return code, *process.communicate()


def test_a_worker_leaves_by_itself_when_the_study_is_complete(tmp_path, specification):
    code, said, log = wait(begin(tmp_path, "--launched", FRCNN_STORAGE=specification.storage))
    assert (code, said) == (0, ""), log
    assert "Fatal" not in log
    with Database.open(specification.storage) as database:
        assert [trial.state.is_finished() for trial in load_optuna_study(database, "analytic").trials] == [True] * 3


def test_a_worker_whose_launch_is_gone_stops_with_its_trial_kept(tmp_path, specification):
    process = begin(tmp_path, "--launched", FRCNN_STORAGE=specification.storage, FRCNN_ANALYTIC_STEP_S="0.02")
    with Database.open(specification.storage) as database:
        while not load_optuna_study(database, "analytic").trials:
            time.sleep(0.05)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 75
    assert process.stderr is not None
    assert "interrupted" in process.stderr.read()
    process.stderr.close()
    process.stdout.close()


def test_without_follow_stdin_an_empty_input_means_nothing(tmp_path, specification):
    process = begin(tmp_path, FRCNN_STORAGE=specification.storage)
    process.stdin.close()
    assert process.wait(60) == 0
    process.stdout.close()
    process.stderr.close()


@pytest.mark.parametrize(
    ("storage", "study", "message"),
    [
        pytest.param("", "analytic", "the environment variable FRCNN_STORAGE is not set", id="no storage"),
        pytest.param("mysql://host/x", "analytic", "storage must be", id="no storage of ours"),
        pytest.param(None, "analitic", "did you mean 'analytic'", id="another study"),
    ],
)
def test_what_the_user_must_change_is_one_line_and_code_2(tmp_path, specification, storage, study, message):
    storage = specification.storage if storage is None else storage
    code, said, log = wait(begin(tmp_path, "--launched", study=study, FRCNN_STORAGE=storage))
    assert code == 2
    assert message in said
    assert "Traceback" not in said + log
