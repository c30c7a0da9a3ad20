"""The trainer: one process, one compiled step, trial after trial.

Between trials nothing is built, traced or allocated anew: the weights are reset and other numbers are fed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from detector import backend, weights
from detector.average_precision import coco_metrics
from detector.backend import Compiled, to_device, to_host
from detector.batches import TrainingBatches
from detector.boxes import Tensor
from detector.checkpoint import Checkpoint, drop_checkpoints, newest_checkpoint, save_checkpoint
from detector.config import DataSource, Detector, Hyperparameters, StepShape
from detector.dataset import Dataset, ground_truth_slots, load_pair
from detector.finding import Finding, Severity
from detector.health import unpack
from detector.image_cache import CanvasCache, open_cache
from detector.inputs import step_inputs, trial_inputs
from detector.network import Network, build
from detector.prediction import PredictStep, detections_of
from detector.replay import REPLAYED, Replay, blamed
from detector.reports import PausedReport, ProgressReport, RungReport, Stopped, Warned
from detector.schedule import learning_rate, optimizer_steps
from detector.step import State, TrainStep, initial_state
from detector.watch import Watch, course_of

LOOK_EVERY_STEPS = 10  # the watch sees every step, this late at most
WEIGHTS_FILE = "weights.safetensors"
SLOTS = ("weights", "velocity", "second")

SetupProgress = Callable[[str, int, int], None]  # what, done, of


@dataclass(slots=True)
class _Trial:
    """Where the running trial stands."""

    hyperparameters: Hyperparameters
    seed: int
    budget_images: int
    directory: Path
    keep_weights: bool
    inputs: dict[str, Tensor]
    state: State
    frozen: list[Tensor]
    watch: Watch
    step: int = 0

    @property
    def images(self) -> int:
        return self.step * self.hyperparameters.batch_size


class Trainer:
    """Loads the data, builds the network, compiles at the first step, and then runs any number of trials."""

    def __init__(
        self,
        *,
        train: DataSource,
        validation: DataSource | None,
        validation_share: float,
        detector: Detector,
        anchors_per_cell: int,
        micro_batch: int,
        validation_images: int | None,
        cache: Path,
        seed: int,
        watch: bool = True,
        on_progress: SetupProgress = lambda what, done, of: None,
    ) -> None:
        backend.prepare_device()
        self._train_set, self._validation_set = load_pair(train, validation, share=validation_share, seed=seed)
        self._train_cache = open_cache(
            self._train_set, detector.canvas, cache, progress=lambda n, of: on_progress("training images", n, of)
        )
        self._validation_cache = open_cache(
            self._validation_set, detector.canvas, cache, progress=lambda n, of: on_progress("validation images", n, of)
        )
        count = len(self._validation_set.images)
        self._validation_count = min(count, validation_images or count)
        slots = ground_truth_slots(self._train_set)
        self.shape = StepShape.for_detector(
            detector,
            anchors_per_cell=anchors_per_cell,
            boxes_per_image=slots,
            classes=len(self._train_set.classes),
            micro_batch=micro_batch,
        )
        self._batches = TrainingBatches(self._train_set, self._train_cache, slots)
        self._network = self._initial_network(detector, cache, seed)
        self._initial = [to_host(variable) for variable in self._network.trainable]
        self._frozen = [to_device(to_host(variable)) for variable in self._network.frozen]
        step = TrainStep(self._network, self.shape)
        self.train_step = Compiled(step, donate_first=True)
        self.predict_step = Compiled(PredictStep(self._network, self.shape, step))
        self._watches = watch
        self._trial: _Trial | None = None
        self.backend = backend.BACKEND
        self.device = backend.device_name()
        self.versions = {"keras": keras.__version__, "numpy": np.__version__}

    def _initial_network(self, detector: Detector, cache: Path, seed: int) -> Network:
        network = build(self.shape)
        sample = self._train_cache.pixels[: weights.CALIBRATION_IMAGES]
        weights.initial_backbone(network, detector.weights, seed, np.asarray(sample), cache)
        return network

    def begin(
        self,
        hyperparameters: Hyperparameters,
        *,
        seed: int,
        budget_images: int,
        directory: Path,
        keep_weights: bool = False,
    ) -> int:
        """Reset to the trial's start, or to its newest valid checkpoint; returns the images already trained.

        With `keep_weights` the end of the budget leaves WEIGHTS_FILE in the directory.
        """
        inputs = trial_inputs(hyperparameters, self.shape, seed)
        self._trial = _Trial(
            hyperparameters=hyperparameters,
            seed=seed,
            budget_images=budget_images,
            directory=directory,
            keep_weights=keep_weights,
            inputs={name: to_device(value) for name, value in inputs.items()},
            state=self._initial_state(seed),
            frozen=self._frozen,
            watch=Watch(course_of(hyperparameters, self.shape, budget_images)),
        )
        if (checkpoint := newest_checkpoint(directory)) is not None:
            self._restore(self._trial, checkpoint)
        return self._trial.images

    def _initial_state(self, seed: int) -> State:
        for number, part in enumerate(self._network.heads):
            weights.reseed(part, seed + number)
        values = [
            to_device(initial if component == "backbone" else to_host(variable))
            for variable, component, initial in zip(
                self._network.trainable, self._network.component_of, self._initial, strict=True
            )
        ]
        return initial_state(values)

    def advance(
        self,
        to_images: int,
        on_progress: Callable[[ProgressReport], None],
        should_pause: Callable[[], bool],
    ) -> RungReport | PausedReport | Stopped:
        """Train until `to_images` were seen (whole optimizer steps), checkpoint and evaluate.

        Stops before that when `should_pause` answers yes between two steps, with a checkpoint, or when the watch
        finds that the trial is not training.
        """
        trial = self._running()
        started = time.monotonic()
        begun_at = trial.images
        pending: list[tuple[int, Tensor]] = []
        last = optimizer_steps(to_images, trial.hyperparameters.batch_size)
        while trial.step < last:
            pausing = should_pause()
            if not pausing:
                pending.append((trial.step, self._optimizer_step(trial)))
                trial.step += 1
            if pending and (pausing or len(pending) == LOOK_EVERY_STEPS or trial.step == last):
                rate = (trial.images - begun_at) / (time.monotonic() - started)
                if (stopped := self._look(trial, pending, on_progress, rate)) is not None:
                    return stopped
                pending.clear()
            if pausing:
                self._save(trial)
                return PausedReport(images=trial.images)
        return self._rung(trial, time.monotonic() - started)

    def _optimizer_step(self, trial: _Trial) -> Tensor:
        """One batch: its micro-batches accumulated and applied; returns the packed figures."""
        micro_batch, batch_size = self.shape.micro_batch, trial.hyperparameters.batch_size
        rate = learning_rate(trial.hyperparameters, trial.images, trial.budget_images)
        micro_steps = batch_size // micro_batch
        figures = None
        for micro_step in range(micro_steps):
            first_sample = trial.images + micro_step * micro_batch
            batch = self._batches.arrays(trial.seed, first_sample, micro_batch)
            varying = step_inputs(learning_rate=rate, step=trial.step, micro_step=micro_step, micro_steps=micro_steps)
            inputs = {**trial.inputs, **_on_device(varying)}
            trial.state, figures = self.train_step(trial.state, trial.frozen, _on_device(batch), inputs)
        return figures

    def _look(
        self,
        trial: _Trial,
        pending: list[tuple[int, Tensor]],
        on_progress: Callable[[ProgressReport], None],
        images_per_s: float,
    ) -> Stopped | None:
        """Show the watch every pending step, and the world the last of them. Waits for the device once."""
        vectors = to_host(keras.ops.stack([vector for _, vector in pending]))
        for (step, _), vector in zip(pending, vectors, strict=True):
            figures = unpack(vector)
            if self._watches and (finding := trial.watch.observe(step, figures)) is not None:
                on_progress(self._progress(trial, step, figures, images_per_s))
                return self._stop(trial, finding)
        on_progress(self._progress(trial, step, figures, images_per_s))
        return None

    def _stop(self, trial: _Trial, finding: Finding) -> Stopped:
        drop_checkpoints(trial.directory)
        images = trial.images
        if finding.rule in REPLAYED:
            finding = self._blame(trial, finding)
        return Stopped(
            kind=finding.kind,
            cause=finding.cause,
            message=finding.message,
            step=finding.step,
            images=images,
            evidence={"rule": finding.rule, **finding.evidence},
            study_wide=finding.severity is Severity.STUDY,
        )

    def _blame(self, trial: _Trial, finding: Finding) -> Finding:
        """Try the batch of the finding on the trial's initial weights: is it the configuration, or the pictures?"""
        trial.state = self._initial_state(trial.seed)
        replay = Replay(self._batches, trial.seed, self.shape.micro_batch, run=lambda batch: self._tried(trial, batch))
        batch_size = trial.hyperparameters.batch_size
        return blamed(finding, replay, finding.step * batch_size, batch_size)

    def _tried(self, trial: _Trial, batch: dict[str, np.ndarray]) -> dict[str, float]:
        """Figures of one micro-batch as a batch of its own; with a learning rate of 0 the weights stay as they are."""
        once = step_inputs(learning_rate=0.0, step=0, micro_step=0, micro_steps=1)
        inputs = {**trial.inputs, **_on_device(once)}
        trial.state, figures = self.train_step(trial.state, trial.frozen, _on_device(batch), inputs)
        return unpack(to_host(figures))

    def _progress(self, trial: _Trial, step: int, figures: dict[str, float], images_per_s: float) -> ProgressReport:
        images = (step + 1) * trial.hyperparameters.batch_size
        warnings = tuple(
            Warned(rule=finding.rule, step=finding.step, message=finding.message)
            for finding in trial.watch.warnings.values()
        )
        return ProgressReport(step=step, images=images, figures=figures, images_per_s=images_per_s, warnings=warnings)

    def _rung(self, trial: _Trial, training_s: float) -> RungReport:
        finished = trial.images >= trial.budget_images
        if not finished:
            self._save(trial)
        elif trial.keep_weights:
            self._keep_weights(trial)
        started = time.monotonic()
        metrics = self.evaluate()
        if finished:
            drop_checkpoints(trial.directory)
        return RungReport(
            step=trial.step,
            images=trial.images,
            ap=metrics["ap"],
            metrics=metrics,
            training_s=training_s,
            evaluation_s=time.monotonic() - started,
        )

    def evaluate(self) -> dict[str, float]:
        """COCO metrics of the running trial's weights on the validation images."""
        return self._metrics(self._validation_set, self._validation_cache, self._validation_count)

    def training_metrics(self, images: int) -> dict[str, float]:
        """COCO metrics on the first `images` training images: what was learnt by heart."""
        return self._metrics(self._train_set, self._train_cache, min(images, len(self._train_set.images)))

    def _metrics(self, dataset: Dataset, cache: CanvasCache, count: int) -> dict[str, float]:
        trial = self._running()

        def predict(images: Tensor, extents: Tensor) -> dict[str, Tensor]:
            return self.predict_step(trial.state["weights"], trial.frozen, images, extents, trial.inputs)

        return coco_metrics(dataset, detections_of(predict, cache, count, self.shape.micro_batch))

    def _running(self) -> _Trial:
        if self._trial is None:
            raise RuntimeError("no trial was begun")
        return self._trial

    def _save(self, trial: _Trial) -> None:
        arrays = {
            f"{slot}/{variable.path}": to_host(value)
            for slot in SLOTS
            for variable, value in zip(self._network.trainable, trial.state[slot], strict=True)
        }
        arrays |= {
            f"frozen/{variable.path}": to_host(value)
            for variable, value in zip(self._network.frozen, trial.frozen, strict=True)
        }
        arrays["first_bad"] = to_host(trial.state["first_bad"])
        save_checkpoint(trial.directory, Checkpoint(arrays=arrays, images=trial.images, step=trial.step))

    def _restore(self, trial: _Trial, checkpoint: Checkpoint) -> None:
        arrays = checkpoint.arrays
        state: dict[str, Any] = {
            slot: [to_device(arrays[f"{slot}/{variable.path}"]) for variable in self._network.trainable]
            for slot in SLOTS
        }
        trial.state |= {**state, "first_bad": to_device(arrays["first_bad"])}
        trial.frozen = [to_device(arrays[f"frozen/{variable.path}"]) for variable in self._network.frozen]
        trial.step = checkpoint.step

    def _keep_weights(self, trial: _Trial) -> None:
        values = weights.named_values(self._network, trial.state["weights"], trial.frozen)
        weights.save_weights(trial.directory / WEIGHTS_FILE, values, classes=list(self._train_set.classes))


def _on_device(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: to_device(array) for name, array in arrays.items()}
