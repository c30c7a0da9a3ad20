"""The whole step gives the same losses and gradients on TensorFlow and on JAX, from the same weights and batch.

Run as a program, this file takes the weights in the first .npz file and writes what its backend makes of them to the
second. Slow: each side builds and compiles a whole network.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from detector.backend import BACKEND, to_host
from detector.watch.health import LOSSES
from tests.support.step_bench import PLAIN, SHAPE, Bench

ROOT = Path(__file__).resolve().parents[3]
FIGURES = (*LOSSES, "gradient_norm", "positive_anchors", "foreground_rois", "valid_proposals", "proposal_recall")
RATE = 0.01
GRADIENT_TOLERANCE = 5e-3  # of each variable's gradient: fifty layers deep one unit near 0 may fall to the other side
MEDIAN_TOLERANCE = 1e-3

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BACKEND != "tensorflow", reason="starts the other backend itself"),
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed (an optional extra)"),
]


def weights_of(bench: Bench) -> dict[str, np.ndarray]:
    return {v.path: to_host(v) for v in (*bench.network.trainable, *bench.network.frozen)}


def outputs(bench: Bench) -> dict[str, np.ndarray]:
    """Figures of one step, and the gradient of every variable."""
    state, (figures,) = bench.run(PLAIN, learning_rates=[RATE])
    gradients = zip(bench.network.trainable, state["accumulated"], strict=True)
    return {
        **{name: np.float32(figures[name]) for name in FIGURES},
        **{f"gradient of {variable.path}": to_host(value) for variable, value in gradients},
    }


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Norm of the difference over that of ours, above the noise of gradients that are zero but for rounding."""
    return float(np.linalg.norm(ours - theirs) / (np.linalg.norm(ours) + 1e-6))


def test_jax_gives_the_losses_and_gradients_that_tensorflow_gives(tmp_path: Path) -> None:
    bench = Bench(SHAPE)
    np.savez(tmp_path / "weights.npz", **weights_of(bench))
    ours = outputs(bench)
    command = [sys.executable, __file__, str(tmp_path / "weights.npz"), str(tmp_path / "jax.npz")]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "jax.npz") as stored:
        theirs = dict(stored)
    assert ours.keys() == theirs.keys()
    for name in FIGURES:
        assert theirs[name] == pytest.approx(ours[name], rel=1e-4), name
    off = {name: difference(ours[name], theirs[name]) for name in ours.keys() - set(FIGURES)}
    assert {name: value for name, value in off.items() if value > GRADIENT_TOLERANCE} == {}
    assert np.median(list(off.values())) < MEDIAN_TOLERANCE


if __name__ == "__main__":
    given, written = sys.argv[1:]
    other = Bench(SHAPE)
    with np.load(given) as stored:
        for variable in (*other.network.trainable, *other.network.frozen):
            variable.assign(stored[variable.path])
    np.savez(written, **outputs(other))
