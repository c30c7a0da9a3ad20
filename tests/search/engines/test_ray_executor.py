"""What the Ray engine decides before and beside Ray; the clusters are in test_ray_cluster.py."""

import importlib.machinery
import subprocess
import sys
import types

import pytest

from detector.config import ConfigError
from search.engines.handle import Job
from search.engines.ray_actor import worker_variables
from search.engines.ray_executor import RayExecutor, import_ray, require_one_node, require_reference, room_on

POSTGRESQL = "postgresql://user@host/database"


@pytest.mark.parametrize("gpus", [0, 0.25, 0.5, 1, 2.0])
def test_gpus_come_in_parts_of_one_or_whole(gpus):
    assert RayExecutor(gpus_per_worker=gpus).gpus_per_worker == gpus


@pytest.mark.parametrize("gpus", [-1, 1.5, float("nan"), float("inf")])
def test_other_numbers_of_gpus_are_refused(gpus):
    with pytest.raises(ConfigError, match="--gpus-per-worker must be 0, a part of one such as"):
        RayExecutor(gpus_per_worker=gpus)


@pytest.mark.parametrize(
    ("resources", "cpus", "gpus", "room"),
    [
        pytest.param({"CPU": 8.0}, 1, 0, 8, id="8 / 1 by CPU"),
        pytest.param({"CPU": 8.0}, 3, 0, 2, id="8 // 3 by CPU"),
        pytest.param({"CPU": 8.0, "GPU": 2.0}, 1, 0.5, 4, id="2 on each of 2 GPUs"),
        pytest.param({"CPU": 8.0, "GPU": 2.0}, 1, 0.7, 2, id="0.7 twice is not in one GPU"),
        pytest.param({"CPU": 99.0, "GPU": 1.0}, 1, 1 / 49, 49, id="49 on one, although 1 // (1 / 49) is 48"),
        pytest.param({"CPU": 8.0, "GPU": 3.0}, 1, 2, 1, id="3 // 2 GPUs"),
        pytest.param({"CPU": 3.0, "GPU": 2.0}, 1, 0.5, 3, id="CPUs are fewer"),
        pytest.param({"CPU": 8.0}, 1, 1, 0, id="no GPU"),
    ],
)
def test_the_room_on_a_node_is_counted_before_anyone_waits_for_it(resources, cpus, gpus, room):
    assert room_on(resources, cpus=cpus, gpus=gpus) == room


def test_sqlite_is_for_one_node_only(tmp_path):
    sqlite = f"sqlite:///{tmp_path / 'study.db'}"
    require_one_node(sqlite, ["a"])
    require_one_node(POSTGRESQL, ["a", "b"])
    with pytest.raises(ConfigError, match=r"must be in PostgreSQL, .* 2 nodes: a, b"):
        require_one_node(sqlite, ["a", "b"])


def test_a_password_is_refused_before_ray_is_even_loaded(monkeypatch, tmp_path):
    require_reference(POSTGRESQL)
    require_reference("env:NOT_EVEN_SET")
    monkeypatch.setitem(sys.modules, "ray", None)
    job = Job(study="s", storage="postgresql://user:canary-word@host/database", folder=tmp_path)
    with pytest.raises(ConfigError, match="env:NAME") as refused, RayExecutor().open(job, 1, print):
        pass
    assert "canary-word" not in str(refused.value)


def test_ray_client_is_refused_before_ray_is_even_loaded(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    job = Job(study="s", storage=POSTGRESQL, folder=tmp_path)
    with pytest.raises(ConfigError, match="must be HOST:PORT"), RayExecutor().open(job, 1, print):
        pass


def test_without_ray_there_is_one_plain_message(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"--engine ray needs Ray, which is not installed: pip install"):
        import_ray()


def test_an_old_ray_is_refused(monkeypatch):
    old = types.ModuleType("ray")
    old.__spec__ = importlib.machinery.ModuleSpec("ray", None)
    old.__version__ = "2.53.1"
    for name in ("ray.util", "ray.util.scheduling_strategies"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "ray", old)
    with pytest.raises(ConfigError, match=r"Ray must be 2\.54 or newer, but is 2\.53\.1"):
        import_ray()


def test_a_worker_sees_the_node_s_environment_without_ray_s_own():
    node = {"RAY_AUTH_TOKEN": "canary", "RAY_JOB_ID": "1", "STUDY_STORAGE": "url", "CUDA_VISIBLE_DEVICES": "3"}
    half = worker_variables(node, gpus=0.5)
    assert not any(name.startswith("RAY_") for name in half)
    assert (half["STUDY_STORAGE"], half["CUDA_VISIBLE_DEVICES"]) == ("url", "3")  # Ray's choice
    assert half["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.450"  # half of nine tenths
    assert worker_variables(node, gpus=2)["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.900"
    assert worker_variables(node, gpus=0)["CUDA_VISIBLE_DEVICES"] == ""  # what Ray did not give is not taken


def test_a_local_launch_finds_its_devices_without_ray_or_a_framework():
    code = """
import sys
from search.commands.launch import EngineName, _engine
from search.engines.devices import visible_devices
_engine(EngineName.LOCAL), visible_devices()
print({"keras", "tensorflow", "jax", "ray"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
