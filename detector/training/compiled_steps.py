"""A network of one shape with its two compiled steps: what a trainer builds once, and of which micro-batch."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import keras

from detector.backend import BACKEND, Compiled, device_name, on_device, to_device, to_host
from detector.config import Anchors, Hyperparameters, StepShape
from detector.data.batches import TrainingBatches
from detector.network.network import Network, build
from detector.setup import Progress
from detector.training.inputs import step_inputs, trial_inputs
from detector.training.micro_batch import Choices, divisors, fastest, largest_that_fits
from detector.training.prediction import PredictStep
from detector.training.step import TrainStep, initial_state

COMPILING_STEPS = 2  # a backend may compile in each of the first
TIMED_STEPS = 3  # after those


@dataclass(frozen=True, slots=True)
class CompiledSteps:
    """A network, and the two steps on it. Nothing is compiled before a step is called."""

    shape: StepShape
    network: Network
    train_step: Compiled
    predict_step: Compiled

    @classmethod
    def of(cls, shape: StepShape, fill: Callable[[Network], None]) -> "CompiledSteps":
        """Steps of that shape; `fill` gives the network's backbone its values."""
        network = build(shape)
        fill(network)
        step = TrainStep(network, shape)
        return cls(
            shape=shape,
            network=network,
            train_step=Compiled(step, donate_first=True),
            predict_step=Compiled(PredictStep(network, shape, step)),
        )

    def seconds_an_image(self, batches: TrainingBatches) -> float:
        """Median over a few training steps, each with its update. The network's weights stay what they are."""
        took_s = self.tried_s(batches, COMPILING_STEPS + TIMED_STEPS)
        return median(took_s[COMPILING_STEPS:]) / self.shape.micro_batch

    def tried_s(self, batches: TrainingBatches, steps: int) -> list[float]:
        """Seconds of each of so many training steps, compilation included."""
        size = self.shape.micro_batch
        state = initial_state([to_device(to_host(variable)) for variable in self.network.trainable])
        frozen = [to_device(to_host(variable)) for variable in self.network.frozen]
        anchors = Anchors(ratios=(1.0,))  # one a cell, which every shape has slots for
        fixed = on_device(trial_inputs(Hyperparameters(anchors=anchors, batch_size=size), self.shape, seed=0))
        took_s = []
        for step in range(steps):
            began_s = time.perf_counter()
            batch = on_device(batches.arrays(0, step * size, size))
            varying = on_device(step_inputs(learning_rate=0.0, step=step, micro_step=0, micro_steps=1))
            state, figures = self.train_step(state, frozen, batch, fixed | varying)
            to_host(figures)
            took_s.append(time.perf_counter() - began_s)
        return took_s


def fastest_steps(
    largest: StepShape, fill: Callable[[Network], None], batches: TrainingBatches, cache: Path, on_progress: Progress
) -> CompiledSteps:
    """Steps of the micro-batch that is fastest here; what was built to find it out is not built again.

    The choice is kept in `cache`.

    Raises:
        ConfigError: not even one image at a time fits.
    """
    choices = Choices(cache / "micro-batches.json")
    key = f"{BACKEND} {keras.__version__} {device_name()} {largest}"
    if (known := choices.get(key)) is not None:
        return CompiledSteps.of(replace(largest, micro_batch=known), fill)
    candidates = divisors(largest.micro_batch)
    built: dict[int, CompiledSteps] = {}

    def built_for(count: int) -> CompiledSteps:
        number = len(built) + 1
        built[count] = CompiledSteps.of(replace(largest, micro_batch=count), fill)
        on_progress("trying micro-batches", number, len(candidates))
        return built[count]

    if device_name() == "CPU":  # there more images a step were never slower (docs/decisions/0012)
        chosen = largest_that_fits(candidates, lambda count: built_for(count).tried_s(batches, 1))
    else:
        chosen = fastest(candidates, lambda count: built_for(count).seconds_an_image(batches))
    choices.keep(key, chosen)
    return built[chosen]
