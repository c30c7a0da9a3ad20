"""The step, the optimizer and whole trials on JAX: the same tests, in a process with that backend."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from detector.backend import BACKEND

ROOT = Path(__file__).resolve().parents[2]
SUITES = ("test_sampled_rpn.py", "test_optimizer.py", "test_step.py", "test_training.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BACKEND != "tensorflow", reason="starts the other backend itself"),
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed (an optional extra)"),
]


def passed_on_jax(*arguments: str) -> str:
    """The summary line of a run of pytest that passed."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


def test_the_step_and_whole_trials_pass_their_tests() -> None:
    summary = passed_on_jax("-m", "not slow", *(f"tests/detector/{name}" for name in SUITES))
    assert " passed" in summary
    assert " failed" not in summary


def test_fifty_different_trials_share_one_executable() -> None:
    assert passed_on_jax("tests/detector/test_many_trials.py").startswith("1 passed")
