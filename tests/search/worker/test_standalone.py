"""`frcnn-search worker`: only storage and name, and refused where code or data differ."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from detector.data.sample_data import write_sample
from search.launch.compatibility import agree
from search.study.data_section import Data, Split
from search.study.specification import Specification, specification_from
from search.worker.fingerprint import Identity, code_version, keep_identity
from storage.connection.database import Database
from storage.study import create_study, find_study
from tests.support.studies import load_optuna_study

SECRET = "canary-word"


def made(tmp_path: Path, **sections) -> Specification:
    document = {
        "name": "analytic",
        "storage": f"sqlite:///{tmp_path / 'study.db'}",
        "trainer": "analytic",
        "data": {"train": {"images": str(tmp_path), "annotations": str(tmp_path / "train.json")}},
        "detector": {"canvas": "128x128"},
        "budget": {"trials": 2, "images": 1440},
        **sections,
    }
    specification = specification_from(document, "this test")
    with Database.open(specification.storage) as database:
        agree(create_study(database, specification.name), specification)
        keep_identity(find_study(database, specification.name), Identity.here(specification))
    return specification


def run(*options: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-P", "-c", "from search.command_line import main; main()", "worker", *options]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=90)


def test_a_worker_needs_only_a_reference_to_the_storage_and_the_name(tmp_path):
    specification = made(tmp_path)
    options = ("--storage", "env:STUDY_STORAGE", "--study", "analytic", "--folder", str(tmp_path / "here"))
    done = run(*options, STUDY_STORAGE=specification.storage)
    assert done.returncode == 0, done.stderr
    with Database.open(specification.storage) as database:
        trials = load_optuna_study(database, "analytic").trials
        assert [trial.state.is_finished() for trial in trials] == [True, True]
    assert (tmp_path / "here" / "logs").exists()


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{SECRET}@localhost/database",
        f"postgresql://user@localhost/database?password={SECRET}",
        f"postgresql+psycopg://user@localhost/database?sslpassword={SECRET}",
    ],
)
def test_a_password_on_the_command_line_is_refused_and_not_repeated(url):
    refused = run("--storage", url, "--study", "analytic")
    assert refused.returncode == 2
    assert "--storage env:NAME or --storage file:PATH" in refused.stderr
    assert SECRET not in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr


def test_what_isnt_there_is_said_in_one_line(tmp_path):
    specification = made(tmp_path)
    for storage, study, message in (
        (specification.storage, "analitic", "did you mean 'analytic'"),
        (f"sqlite:///{tmp_path / 'other.db'}", "analytic", "there is no such database"),
        ("env:NOT_SET", "analytic", "NOT_SET is not set"),
    ):
        refused = run("--storage", storage, "--study", study)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr
    assert not (tmp_path / "other.db").exists()


def test_other_code_is_refused_with_the_difference(tmp_path):
    specification = made(tmp_path)
    with Database.open(specification.storage) as database:
        keep_identity(find_study(database, "analytic"), Identity(code="0.0.9+0123456789ab", data=""))
    refused = run("--storage", specification.storage, "--study", "analytic")
    assert refused.returncode == 2
    assert f"code version: 0.0.9+0123456789ab was stored, {code_version()} is here" in refused.stderr


def test_the_same_data_elsewhere_is_welcome_and_other_data_is_refused(tmp_path):
    """With the real trainer's data; the worker is refused before any trainer starts."""
    write_sample(tmp_path / "data", train=6, validation=3)
    detector = {"canvas": "96x128"}
    specification = made(tmp_path, trainer="detector", data={"folder": str(tmp_path / "data")}, detector=detector)
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    same = Identity.here(specification_from_moved(specification, tmp_path / "elsewhere"))
    with Database.open(specification.storage) as database:
        keep_identity(find_study(database, "analytic"), same)  # it agrees
    picture = next((tmp_path / "elsewhere").rglob("*.jpg"), None) or next((tmp_path / "elsewhere").rglob("*.png"))
    other = next(path for path in picture.parent.iterdir() if path.read_bytes() != picture.read_bytes())
    content = picture.read_bytes()
    picture.write_bytes(other.read_bytes())
    options = ("--storage", specification.storage, "--study", "analytic", "--data-root", str(tmp_path / "elsewhere"))
    refused = run(*options)
    assert refused.returncode == 2, refused.stderr
    assert f"dataset fingerprint: {same.data} was stored" in refused.stderr
    picture.write_bytes(content)
    assert Identity.here(specification_from_moved(specification, tmp_path / "elsewhere")) == same


def specification_from_moved(specification: Specification, root: Path) -> Specification:
    return replace(specification, data=specification.data.moved(root))


def test_newer_code_may_go_on_with_a_study_but_other_data_may_not(tmp_path):
    specification = made(tmp_path)
    with Database.open(specification.storage) as database:
        keep_identity(find_study(database, "analytic"), Identity(code="newer", data=""))
        with pytest.raises(Exception, match=r"dataset fingerprint: \(none\) was stored, beef is here"):
            keep_identity(find_study(database, "analytic"), Identity(code="newer", data="beef"))
        assert optuna.load_study(study_name="analytic", storage=database.optuna).user_attrs["code version"] == "newer"


def test_splits_move_with_the_nearest_folder_that_holds_them_all():
    train = Split(images=Path("/a/set/train"), annotations=Path("/a/set/labels/train.json"))
    held_out = Split(images=Path("/a/set/val"), annotations=Path("/a/set/labels/val.json"))
    moved = Data(train=train, validation=held_out).moved(Path("/b"))
    assert moved.train == Split(images=Path("/b/train"), annotations=Path("/b/labels/train.json"))
    assert moved.validation == Split(images=Path("/b/val"), annotations=Path("/b/labels/val.json"))
    beside = Data(train=Split(images=Path("/a/set"), annotations=Path("/a/set/labels.json"))).moved(Path("/b"))
    assert beside.train == Split(images=Path("/b"), annotations=Path("/b/labels.json"))
