"""Tests of this folder in a process whose backend is JAX."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from detector.backend import BACKEND

ROOT = Path(__file__).resolve().parents[2]

#: Of a module that starts such processes.
ON_JAX = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(BACKEND != "tensorflow", reason="starts the other backend itself"),
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed (an optional extra)"),
]


def passed_on_jax(*arguments: str) -> str:
    """The summary line of a run of pytest that passed."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1400)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]
