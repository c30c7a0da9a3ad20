"""A network of one shape with its two compiled steps: what a trainer builds once."""

import time
from dataclasses import dataclass
from statistics import median
from typing import Any

from detector.backend import Compiled, to_device, to_host
from detector.boxes import Tensor
from detector.config import Anchors, Hyperparameters, StepShape
from detector.data.batches import TrainingBatches
from detector.network.network import Network, build
from detector.training.inputs import step_inputs, trial_inputs
from detector.training.prediction import PredictStep
from detector.training.step import TrainStep, initial_state

TIMED_STEPS = 3  # after the two in which a backend may compile


@dataclass(frozen=True, slots=True)
class Engine:
    """Nothing is compiled before a step is called."""

    shape: StepShape
    network: Network
    train_step: Compiled
    predict_step: Compiled

    @classmethod
    def of(cls, shape: StepShape) -> "Engine":
        """An engine whose network has drawn its weights, the backbone's not yet meant for training."""
        network = build(shape)
        step = TrainStep(network, shape)
        return cls(
            shape=shape,
            network=network,
            train_step=Compiled(step, donate_first=True),
            predict_step=Compiled(PredictStep(network, shape, step)),
        )

    def seconds_an_image(self, batches: TrainingBatches) -> float:
        """Median over a few training steps, each with its update. The network's weights stay what they are."""
        size = self.shape.micro_batch
        state = initial_state([to_device(to_host(variable)) for variable in self.network.trainable])
        frozen = [to_device(to_host(variable)) for variable in self.network.frozen]
        anchors = Anchors(ratios=(1.0,))  # one a cell, which every shape has slots for
        fixed = _placed(trial_inputs(Hyperparameters(anchors=anchors, batch_size=size), self.shape, seed=0))
        took_s = []
        for step in range(2 + TIMED_STEPS):
            began_s = time.perf_counter()
            batch = _placed(batches.arrays(0, step * size, size))
            varying = _placed(step_inputs(learning_rate=0.0, step=step, micro_step=0, micro_steps=1))
            state, figures = self.train_step(state, frozen, batch, fixed | varying)
            to_host(figures)
            took_s.append(time.perf_counter() - began_s)
        return median(took_s[2:]) / size


def _placed(arrays: dict[str, Any]) -> dict[str, Tensor]:
    return {name: to_device(value) for name, value in arrays.items()}
