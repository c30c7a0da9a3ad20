"""A small network with its compiled step, on pictures that are the same everywhere."""

from typing import Any

import numpy as np

from detector.backend import Compiled, to_device, to_host
from detector.config import Anchors, Augmentation, BackboneName, Canvas, Hyperparameters, StepShape
from detector.network import weights
from detector.network.network import build
from detector.training.inputs import step_inputs, trial_inputs
from detector.training.step import TrainStep, initial_state
from detector.watch.health import unpack

CLASSES = 3
SHAPE = StepShape(
    canvas=Canvas(height_px=64, width_px=96),
    micro_batch=2,
    anchors_per_cell=6,
    boxes_per_image=4,
    classes=CLASSES,
    pre_nms_train=64,
    pre_nms_test=64,
    proposals_train=32,
    proposals_test=32,
    anchor_samples=64,
    roi_samples=16,
    frozen_stages=2,
    backbone=BackboneName.RESNET18,  # has all that a step does, in a third of the operations of a ResNet-50
)
SMALL_ANCHORS = Anchors(sizes_px=((8.0,), (16.0,), (32.0,), (64.0,), (128.0,)))
STILL = Augmentation(flip_probability=0.0)
PLAIN = Hyperparameters(anchors=SMALL_ANCHORS, batch_size=4, augmentation=STILL)


class Bench:
    """A network of one shape with its compiled step, and its values as they were at first."""

    def __init__(self, shape: StepShape) -> None:
        self.shape = shape
        self.network = build(shape)
        weights.draw_backbone(self.network, 0, pictures(8))
        for number, part in enumerate(self.network.heads, start=1):
            weights.reseed(part, number)
        self.step = Compiled(TrainStep(self.network, shape), donate_first=True)

    def state(self, **named: np.ndarray) -> dict[str, Any]:
        return initial_state([to_device(named.get(v.path, to_host(v))) for v in self.network.trainable])

    def run(
        self, hyperparameters: Hyperparameters, *, learning_rates: list[float], state: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], list[dict[str, float]]]:
        """One optimizer step per learning rate; returns the state and every step's figures."""
        state = state or self.state()
        frozen = [to_device(to_host(v)) for v in self.network.frozen]
        inputs = {k: to_device(v) for k, v in trial_inputs(hyperparameters, self.shape, seed=7).items()}
        micro_steps = hyperparameters.batch_size // self.shape.micro_batch
        seen = []
        for step, rate in enumerate(learning_rates):
            for micro_step in range(micro_steps):
                first = step * hyperparameters.batch_size + micro_step * self.shape.micro_batch
                varying = step_inputs(learning_rate=rate, step=step, micro_step=micro_step, micro_steps=micro_steps)
                state, figures = self.step(
                    state,
                    frozen,
                    {k: to_device(v) for k, v in batch(first, self.shape).items()},
                    inputs | {k: to_device(v) for k, v in varying.items()},
                )
            seen.append(unpack(to_host(figures)))
        return state, seen


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 64, 96, 3)).astype(np.uint8)


def batch(first: int, shape: StepShape) -> dict[str, np.ndarray]:
    """Samples `first` and on: sample n shows picture n mod 8 with one box, or with two when n is odd."""
    samples = np.arange(first, first + shape.micro_batch)
    boxes = np.zeros((shape.micro_batch, shape.boxes_per_image, 4), np.float32)
    valid = np.zeros(boxes.shape[:2], bool)
    for row, sample in enumerate(samples):
        boxes[row, 0] = (8 + sample % 8, 10, 40, 44)
        valid[row, 0] = True
        if sample % 2:
            boxes[row, 1] = (20, 50, 60, 90)
            valid[row, 1] = True
    return {
        "images": pictures(8)[samples % 8],
        "extents": np.tile(np.float32([64, 96]), (len(samples), 1)),
        "boxes": boxes,
        "valid": valid,
        "classes": np.tile(np.int32([0, 2, 0, 0]), (len(samples), 1)),
        "index": samples.astype(np.int32),
    }
