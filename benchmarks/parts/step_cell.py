"""Our train step in a process of its own: the question as JSON in the only argument, answers on standard output.

It is one cell of `step_speed`: everything is measured, then answered. With
`--serve` it takes one step for each line that it reads and answers with its seconds, as `torchvision_cell` does.
"""

import json
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parts.memory import peak_device_mib, peak_resident_mib
from benchmarks.step_speed import BOX_SLOTS, CLASSES, Answer, Question
from detector import backend
from detector.backend import Compiled, to_device, to_host
from detector.config import Anchors, Hyperparameters, StepShape
from detector.network import weights
from detector.network.network import build
from detector.training.inputs import step_inputs, trial_inputs
from detector.training.step import TrainStep, initial_state

BOXES = 4  # in each picture
GENTLE = 1e-4  # learning rate: the noise that it trains on must not make the figures non-finite
WARM_UP_STEPS = 2  # after the first call; JAX compiles anew at the second where a type was weak


class Rig:
    """The compiled step on made-up pictures; every call of `step` is one optimizer step of one micro-batch."""

    def __init__(self, question: Question) -> None:
        backend.prepare_device(Path(tempfile.gettempdir()) / "frcnn-search-benchmarks")
        shape = question.shape()
        network = build(shape)
        self._arrays = _batch(shape)
        weights.draw_backbone(network, 0, self._arrays["images"])
        self._frozen = [to_device(to_host(variable)) for variable in network.frozen]
        self._state = initial_state([to_device(to_host(variable)) for variable in network.trainable])
        hyperparameters = Hyperparameters(anchors=Anchors(), batch_size=shape.micro_batch)
        self._inputs = _placed(trial_inputs(hyperparameters, shape, seed=0))
        self.compiled = Compiled(TrainStep(network, shape), donate_first=True)
        self._steps = 0

    def step(self) -> float:
        """Seconds from the batch on the host to its figures on the host."""
        began = time.perf_counter()
        varying = step_inputs(learning_rate=GENTLE, step=self._steps, micro_step=0, micro_steps=1)
        self._state, figures = self.compiled(
            self._state, self._frozen, _placed(self._arrays), self._inputs | _placed(varying)
        )
        if not np.isfinite(to_host(figures)).all():
            raise RuntimeError(f"step {self._steps} is not finite, and its time would not be that of training")
        self._steps += 1
        return time.perf_counter() - began


def measure(question: Question) -> Answer:
    """A first step, which compiles, some to warm up, and those that count."""
    rig = Rig(question)
    took_s = [rig.step() for _ in range(1 + WARM_UP_STEPS + question.repeats)]
    return Answer(
        backend=backend.BACKEND,
        device=backend.device_name(),
        first_s=took_s[0],
        steps_s=tuple(took_s[1 + WARM_UP_STEPS :]),
        traces=rig.compiled.traces,
        peak_mib=peak_resident_mib(),
        device_mib=peak_device_mib(),
    )


def serve(question: Question) -> None:
    """Say what runs here, then answer each line with the seconds of one more step."""
    rig = Rig(question)
    _say({"versions": {name: version(name) for name in ("keras", backend.BACKEND)}, "device": backend.device_name()})
    for _ in sys.stdin:
        _say(rig.step())


def _say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _batch(shape: StepShape) -> dict[str, np.ndarray]:
    """Noise with a few boxes between an eighth and a half of the canvas."""
    random = np.random.default_rng(0)
    count, size = shape.micro_batch, np.array([shape.canvas.height_px, shape.canvas.width_px], np.float32)
    low = random.uniform(0.0, 0.5, (count, BOX_SLOTS, 2))
    corners = np.concatenate([low, low + random.uniform(0.125, 0.5, low.shape)], axis=-1) * np.tile(size, 2)
    valid = np.broadcast_to(np.arange(BOX_SLOTS) < BOXES, (count, BOX_SLOTS))
    return {
        "images": random.integers(0, 256, (count, shape.canvas.height_px, shape.canvas.width_px, 3)).astype(np.uint8),
        "extents": np.tile(size, (count, 1)),
        "boxes": np.where(valid[..., None], corners, 0.0).astype(np.float32),
        "valid": valid,
        "classes": random.integers(0, CLASSES, (count, BOX_SLOTS)).astype(np.int32),
        "index": np.arange(count, dtype=np.int32),
    }


def _placed(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: to_device(value) for name, value in arrays.items()}


if __name__ == "__main__":
    asked = Question(**json.loads(sys.argv[1]))
    if sys.argv[2:] == ["--serve"]:
        serve(asked)
    else:
        _say(asdict(measure(asked)))
