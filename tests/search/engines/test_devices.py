import os
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.engines.devices import memory_variables, parse_list, variables_of_worker, visible_devices, with_device
from search.engines.handle import Job
from search.engines.local_executor import LocalExecutor
from tests.support.workforce import found, wait_until

TWO_GPUS = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbbb)
"""
ONE_IN_SLICES = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa)
  MIG 3g.20gb     Device  0: (UUID: MIG-1111)
  MIG 3g.20gb     Device  1: (UUID: MIG-2222)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb)
"""


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in on the PATH that lists two GPUs; no variable says which are visible."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ \"$1\" = -L ] || exit 9\ncat <<'END'\n{TWO_GPUS}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return program


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        pytest.param(TWO_GPUS, ("GPU-aaaa", "GPU-bbbb"), id="two"),
        pytest.param(ONE_IN_SLICES, ("MIG-1111", "MIG-2222", "GPU-bbbb"), id="one of two in slices"),
        pytest.param("No devices found.\n", (), id="none"),
    ],
)
def test_devices_are_listed_as_nvidia_smi_names_them(text, devices):
    assert parse_list(text) == devices


@pytest.mark.parametrize(
    ("variable", "devices"),
    [
        ("0,1", ("0", "1")),
        (" 3 , GPU-aaaa", ("3", "GPU-aaaa")),
        ("", ()),
        ("-1", ()),
        ("2,-1,3", ("2",)),  # CUDA stops at the first that is none
    ],
)
def test_a_choice_of_the_user_or_of_slurm_is_kept(nvidia_smi, variable, devices):
    assert visible_devices({**os.environ, "CUDA_VISIBLE_DEVICES": variable}) == devices


def test_without_a_choice_nvidia_smi_is_asked_and_its_failure_means_none(nvidia_smi):
    assert visible_devices() == ("GPU-aaaa", "GPU-bbbb")
    nvidia_smi.write_text("#!/bin/sh\necho 'GPU 0: broken (UUID: GPU-cccc)'\nexit 9\n")
    assert visible_devices() == ()
    assert visible_devices({"PATH": ""}) == ()


def test_workers_take_devices_in_turn_and_share_their_memory():
    devices = ("GPU-aaaa", "GPU-bbbb")
    given = [variables_of_worker(devices, number=number, workers=3) for number in (1, 2, 3)]
    assert [variables["CUDA_VISIBLE_DEVICES"] for variables in given] == ["GPU-aaaa", "GPU-bbbb", "GPU-aaaa"]
    fractions = [variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] for variables in given]
    assert fractions == ["0.450", "0.900", "0.450"]  # 0.9 / 2 on the first device, 0.9 / 1 on the second
    assert variables_of_worker((), number=1, workers=3) == {}


@given(st.integers(1, 9), st.integers(1, 40))
def test_no_device_is_promised_more_than_it_has(devices, workers):
    names = tuple(f"GPU-{number}" for number in range(devices))
    promised = dict.fromkeys(names, 0.0)
    for number in range(1, workers + 1):
        variables = variables_of_worker(names, number=number, workers=workers)
        promised[variables["CUDA_VISIBLE_DEVICES"]] += float(variables["XLA_PYTHON_CLIENT_MEM_FRACTION"])
    assert max(promised.values()) <= 0.9 + 1e-9
    assert sum(share > 0 for share in promised.values()) == min(devices, workers)


def test_what_the_user_has_set_stays_but_for_the_device():
    theirs = {"CUDA_VISIBLE_DEVICES": "0,1", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.3", "HOME": "/home"}
    ours = {"CUDA_VISIBLE_DEVICES": "1", **memory_variables(0.5)}
    assert with_device(theirs, ours) == {
        "CUDA_VISIBLE_DEVICES": "1",
        "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.3",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "HOME": "/home",
    }
    assert theirs["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_each_trainer_sees_its_own_device_and_share(nvidia_smi, tmp_path, monkeypatch):
    """What the trainers' processes really have in their environment: three workers on two GPUs."""
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.05")
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    specification = found(storage, tmp_path, trials=3)
    said: list[str] = []
    job = Job(study=specification.name, storage=storage, folder=tmp_path)
    with LocalExecutor().open(job, 3, said.append) as start:
        workers = [start(number) for number in (1, 2, 3)]
        try:
            seen = [trainer_environment(worker.pid) for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
    assert said == ["3 workers share 2 GPUs"]
    assert [variables["CUDA_VISIBLE_DEVICES"] for variables in seen] == ["GPU-aaaa", "GPU-bbbb", "GPU-aaaa"]
    assert [variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] for variables in seen] == ["0.450", "0.900", "0.450"]
    assert {variables["TF_FORCE_GPU_ALLOW_GROWTH"] for variables in seen} == {"true"}
    assert {variables["XLA_PYTHON_CLIENT_PREALLOCATE"] for variables in seen} == {"false"}


def trainer_environment(worker: int) -> dict[str, str]:
    """The environment of a worker's trainer, as the kernel knows it."""
    environment: dict[str, str] = {}

    def is_there() -> bool:
        for child in psutil.Process(worker).children():
            if "search.trainer.process" in child.cmdline():  # and no more the worker's own, just forked
                environment.update(child.environ())
        return bool(environment)

    wait_until(is_there, within_s=120)
    return environment
