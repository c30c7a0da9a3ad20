"""Where a machine has data and caches; "another host" is another folder with the same data, and its own environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from detector.config import ConfigError
from detector.data.sample_data import write_sample
from search.launch.compatibility import agree
from search.launch.settled import settle
from search.plan import Plan
from search.study.data_section import Data, Split
from search.study.specification import Specification, specification_from
from search.worker.fingerprint import Identity, keep_identity
from search.worker.local_paths import LocalPaths
from storage.connection.database import Database
from storage.study import create_study, find_study


def test_what_is_given_stands_over_the_environment(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    environment = {"FRCNN_DATA_ROOT": str(tmp_path / "one"), "FRCNN_CACHE": str(tmp_path / "cache")}
    assert LocalPaths.here(environment=environment) == LocalPaths(data_root=tmp_path / "one", cache=tmp_path / "cache")
    given = LocalPaths.here(data_root=tmp_path / "two", environment=environment)
    assert given == LocalPaths(data_root=tmp_path / "two", cache=tmp_path / "cache")
    assert LocalPaths.here(environment={}) == LocalPaths(data_root=None, cache=None)


def test_paths_may_be_relative_or_the_user_s(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    assert LocalPaths.here(data_root=Path("data"), environment={}).data_root == tmp_path / "data"
    assert LocalPaths.here(environment={"FRCNN_DATA_ROOT": "~/data"}).data_root == tmp_path / "data"


def test_a_root_that_is_not_there_is_said_before_anything_is_read(tmp_path):
    with pytest.raises(ConfigError, match=r"FRCNN_DATA_ROOT, must name the folder .* /nowhere is no folder"):
        LocalPaths.here(environment={"FRCNN_DATA_ROOT": "/nowhere"})


def test_only_the_data_s_root_moves():
    data = Data(train=Split(images=Path("/a/train"), annotations=Path("/a/labels.json")))
    assert LocalPaths().find(data) is data
    moved = LocalPaths(data_root=Path("/b")).find(data)
    assert moved.train == Split(images=Path("/b/train"), annotations=Path("/b/labels.json"))


@pytest.fixture
def hosts(tmp_path: Path) -> tuple[Path, Path]:
    """The same data in two folders, one for each host."""
    for host in ("first", "second"):
        (tmp_path / host).mkdir()
    write_sample(tmp_path / "first" / "data", train=6, validation=3)
    shutil.copytree(tmp_path / "first" / "data", tmp_path / "second" / "elsewhere")
    return tmp_path / "first", tmp_path / "second"


def begun_on(host: Path) -> Specification:
    """A study on the first host's data, at home in a database that all can reach."""
    document = {
        "name": "cells",
        "storage": f"sqlite:///{host.parent / 'study.db'}",
        "data": {"folder": str(host / "data")},
        "detector": {"canvas": "96x128"},
        "budget": {"trials": 1, "images": 8},
        "derived": "none",
    }
    specification = specification_from(document, "this test")
    with Database.open(specification.storage) as database:
        agree(create_study(database, specification.name), specification)
        keep_identity(find_study(database, specification.name), Identity.here(specification))
    return specification


PROBE = """
import sys
from search.worker import process as worker_process
from search.worker.loop import Worker

class Probe(Worker):  # says what it would work on, instead of loading Keras
    def run(self):
        setup = self._plan.setup
        print(setup.train.images, setup.cache, self._plan.trial_directory(0), sep="\\n")
        return 0

worker_process.Worker = Probe
from search.command_line import main
sys.argv = ["frcnn-search", *sys.argv[1:]]
main()
"""


def join(storage: str, folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-P", "-c", PROBE, "worker", "--storage", storage, "--study", "cells"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("FRCNN_")}
    return subprocess.run(
        [*command, "--folder", str(folder), *options],
        env={**variables, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_worker_on_another_host_joins_with_its_own_data_and_cache(hosts):
    first, second = hosts
    specification = begun_on(first)
    shutil.rmtree(first / "data")  # the other host has never had it
    lost = join(specification.storage, second)
    assert lost.returncode == 2
    assert f"{first / 'data'}: there is no such folder" in lost.stderr
    root, cache = str(second / "elsewhere"), str(second / "fast")
    joined = join(specification.storage, second, "--cache", cache, FRCNN_DATA_ROOT=root)
    assert joined.returncode == 0, joined.stderr
    images, used, trials = joined.stdout.splitlines()
    assert images.startswith(root)
    assert used == cache
    assert trials.startswith(str(second / "trials"))


def test_a_worker_on_another_host_with_other_data_is_refused(hosts):
    first, second = hosts
    specification = begun_on(first)
    pictures = sorted((second / "elsewhere").rglob("*.png")) + sorted((second / "elsewhere").rglob("*.jpg"))
    pictures[0].write_bytes(pictures[1].read_bytes())
    refused = join(specification.storage, second, FRCNN_DATA_ROOT=str(second / "elsewhere"))
    assert refused.returncode == 2
    assert "dataset fingerprint" in refused.stderr


def test_a_launch_reads_its_own_host_s_data_and_stores_the_study_s(hosts, monkeypatch, capsys):
    from rich.console import Console

    first, second = hosts
    specification = begun_on(first)
    settled = settle(specification, Console(), folder=first)
    here, fingerprint = settled.specification, settled.data
    shutil.rmtree(first / "data")
    monkeypatch.setenv("FRCNN_DATA_ROOT", str(second / "elsewhere"))
    again = settle(specification, Console(), folder=first)
    there, same = again.specification, again.data
    assert (there, same) == (here, fingerprint)
    assert there.data == specification.data


def test_a_plan_s_caches_lie_below_its_folder_unless_they_have_a_place(hosts):
    first, second = hosts
    specification = begun_on(first)
    assert Plan.of(specification, second).setup.cache == second / "cache"
    assert Plan.of(specification, second, cache=first / "fast").setup.cache == first / "fast"
