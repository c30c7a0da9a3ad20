"""The trainer: one process, one compiled step, trial after trial.

Between trials nothing is built, traced or allocated anew: the weights are reset and other numbers are fed.
"""

import itertools
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from detector import backend
from detector.backend import give_memory_back, own, to_device, to_host
from detector.boxes import Tensor
from detector.config import DataSource, Detector, Hyperparameters, Optimizer, StepShape
from detector.data.average_precision import coco_metrics
from detector.data.batches import TrainingBatches
from detector.data.dataset import Dataset, ground_truth_slots, load_pair
from detector.data.image_cache import CanvasCache, open_cache
from detector.network import weights
from detector.schedule import learning_rate, optimizer_steps
from detector.training.checkpoint import Checkpoint, drop_checkpoints, newest_checkpoint, save_checkpoint
from detector.training.executables import Engine
from detector.training.inputs import step_inputs, trial_inputs
from detector.training.micro_batch import Choices, divisors, fastest
from detector.training.optimizer import SLOTS
from detector.training.prediction import detections_of
from detector.training.replay import REPLAYED, Replay, blamed
from detector.training.step import State, initial_state
from detector.watch.finding import Finding, Severity
from detector.watch.health import unpack
from detector.watch.watch import Watch, course_of
from trial.reports import PausedReport, ProgressReport, RungReport, Stopped, Warned

STEPS_PER_LATE_STEP = 10  # most that diverge do so early: the watch is late by a tenth of the steps so far at most,
LOOK_EVERY_STEPS = 10  # and looks this often at least
WEIGHTS_FILE = "weights.safetensors"

SetupProgress = Callable[[str, int, int], None]  # what, done, of; of an evaluation too


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
        measure_micro_batch: bool = False,
        watch: bool = True,
        on_progress: SetupProgress = lambda what, done, of: None,
    ) -> None:
        backend.prepare_device(cache)
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
        self._batches = TrainingBatches(self._train_set, self._train_cache, slots)
        self._calibration = (detector.weights, seed, cache)
        largest = StepShape.for_detector(
            detector,
            anchors_per_cell=anchors_per_cell,
            boxes_per_image=slots,
            classes=len(self._train_set.classes),
            micro_batch=micro_batch,
        )
        self._engine = (
            self._fastest_engine(largest, cache, on_progress) if measure_micro_batch else self._build(largest)
        )
        self.shape, self._network = self._engine.shape, self._engine.network
        self.train_step, self.predict_step = self._engine.train_step, self._engine.predict_step
        self._blank = initial_state([to_device(to_host(variable)) for variable in self._network.trainable])
        self._frozen = [to_device(to_host(variable)) for variable in self._network.frozen]
        self._watches = watch
        self._trial: _Trial | None = None
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self.backend = backend.BACKEND
        self.device = backend.device_name()
        self.versions = {"keras": keras.__version__, "numpy": np.__version__}

    def _build(self, shape: StepShape) -> Engine:
        engine = Engine.of(shape)
        kind, seed, cache = self._calibration
        sample = np.asarray(self._train_cache.pixels[: weights.CALIBRATION_IMAGES])
        weights.initial_backbone(engine.network, kind, seed, sample, cache)
        return engine

    def _fastest_engine(self, largest: StepShape, cache: Path, on_progress: SetupProgress) -> Engine:
        """An engine of the micro-batch that was fastest; what was built to find it out is not built again."""
        choices = Choices(cache / "micro-batches.json")
        key = f"{backend.BACKEND} {keras.__version__} {backend.device_name()} {largest}"
        if (known := choices.get(key)) is not None:
            return self._build(replace(largest, micro_batch=known))
        candidates = divisors(largest.micro_batch)
        built: dict[int, Engine] = {}

        def seconds_an_image(count: int) -> float:
            on_progress("micro-batches tried", len(built), len(candidates))
            built[count] = self._build(replace(largest, micro_batch=count))
            return built[count].seconds_an_image(self._batches)

        chosen = fastest(candidates, seconds_an_image)
        choices.keep(key, chosen)
        return built[chosen]

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
        self._trial = None  # its state makes room for the next: two at once are half a gigabyte more
        give_memory_back()
        inputs = trial_inputs(hyperparameters, self.shape, seed)
        self._trial = _Trial(
            hyperparameters=hyperparameters,
            seed=seed,
            budget_images=budget_images,
            directory=directory,
            keep_weights=keep_weights,
            inputs={name: to_device(value) for name, value in inputs.items()},
            state=self._fresh_state(seed),
            frozen=self._frozen,
            watch=Watch(course_of(hyperparameters, self.shape, budget_images)),
        )
        if (checkpoint := newest_checkpoint(directory)) is not None:
            self._restore(self._trial, checkpoint)
        return self._trial.images

    def _fresh_state(self, seed: int) -> State:
        """The state at step 0 of every trial but for the heads, which are drawn anew."""
        for number, part in enumerate(self._network.heads):
            weights.reseed(part, seed + number)
        network, initial = self._network, self._blank["weights"]
        values = [
            same if component == "backbone" else to_device(variable.value)
            for variable, component, same in zip(network.trainable, network.component_of, initial, strict=True)
        ]
        return keras.tree.map_structure(own, {**self._blank, "weights": values})

    def advance(
        self,
        to_images: int,
        on_progress: Callable[[ProgressReport], None],
        should_pause: Callable[[], bool],
        on_evaluation: SetupProgress = lambda what, done, of: None,
    ) -> RungReport | PausedReport | Stopped:
        """Train until `to_images` were seen (whole optimizer steps), checkpoint and evaluate.

        `on_evaluation` hears of every batch that is evaluated. Stops before that when `should_pause` answers yes
        between two steps, with a checkpoint, or when the watch finds that the trial is not training.
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
            if pending and (pausing or _look_is_due(trial.step, len(pending)) or trial.step == last):
                rate = (trial.images - begun_at) / (time.monotonic() - started)
                if (stopped := self._look(trial, pending, on_progress, rate)) is not None:
                    return stopped
                pending.clear()
            if pausing:
                self._finish_save(self._begin_save(trial))
                return PausedReport(images=trial.images)
        return self._rung(trial, time.monotonic() - started, on_evaluation)

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
        """Show the watch every pending step, and the world the last of them, or all on the way to a fault.

        Waits for the device once.
        """
        looked_at: list[tuple[int, dict[str, float]]] = []
        vectors = to_host(keras.ops.stack([vector for _, vector in pending]))
        for (step, _), vector in zip(pending, vectors, strict=True):
            figures = unpack(vector)
            looked_at.append((step, figures))
            if self._watches and (finding := trial.watch.observe(step, figures)) is not None:
                for passed, each in looked_at:
                    on_progress(self._progress(trial, passed, each, images_per_s))
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
        trial.state = self._fresh_state(trial.seed)
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

    def _rung(self, trial: _Trial, training_s: float, on_evaluation: SetupProgress) -> RungReport:
        finished = trial.images >= trial.budget_images
        saving = None if finished else self._begin_save(trial)
        if finished and trial.keep_weights:
            self._keep_weights(trial)
        started = time.monotonic()
        metrics = self.evaluate(on_evaluation)
        evaluation_s = time.monotonic() - started
        if saving is not None:
            self._finish_save(saving)  # who reads of this rung can rely on its checkpoint
        else:
            drop_checkpoints(trial.directory)
        return RungReport(
            step=trial.step,
            images=trial.images,
            ap=metrics["ap"],
            metrics=metrics,
            training_s=training_s,
            evaluation_s=evaluation_s,
        )

    def evaluate(self, on_evaluation: SetupProgress = lambda what, done, of: None) -> dict[str, float]:
        """COCO metrics of the running trial's weights on the validation images."""
        return self._metrics(self._validation_set, self._validation_cache, self._validation_count, on_evaluation)

    def training_metrics(self, images: int) -> dict[str, float]:
        """COCO metrics on the first `images` training images: what was learnt by heart."""
        return self._metrics(self._train_set, self._train_cache, min(images, len(self._train_set.images)))

    def _metrics(
        self,
        dataset: Dataset,
        cache: CanvasCache,
        count: int,
        on_evaluation: SetupProgress = lambda what, done, of: None,
    ) -> dict[str, float]:
        trial = self._running()
        batches = itertools.count()

        def predict(images: Tensor, extents: Tensor) -> dict[str, Tensor]:
            on_evaluation("evaluation", next(batches) * self.shape.micro_batch, count)
            return self.predict_step(trial.state["weights"], trial.frozen, images, extents, trial.inputs)

        return coco_metrics(dataset, detections_of(predict, cache, count, self.shape.micro_batch))

    def _running(self) -> _Trial:
        if self._trial is None:
            raise RuntimeError("no trial was begun")
        return self._trial

    def _begin_save(self, trial: _Trial) -> "Future[Path]":
        """Begin to write a checkpoint; the disk is waited for elsewhere, and no step may run before `_finish_save`."""
        variables = self._network.trainable
        slots = [slot for slot in SLOTS if slot != "second" or trial.hyperparameters.optimizer is Optimizer.ADAM]
        arrays = {
            f"{slot}/{variable.path}": to_host(value)
            for slot in slots
            for variable, value in zip(variables, trial.state[slot], strict=True)
        }
        arrays |= {
            f"frozen/{variable.path}": to_host(value)
            for variable, value in zip(self._network.frozen, trial.frozen, strict=True)
        }
        arrays["first_bad"] = to_host(trial.state["first_bad"])
        checkpoint = Checkpoint(arrays=arrays, images=trial.images, step=trial.step)
        return self._writer.submit(save_checkpoint, trial.directory, checkpoint)

    def _finish_save(self, saving: "Future[Path]") -> None:
        """Wait until the checkpoint is whole; raises what its writing raised."""
        saving.result()

    def _restore(self, trial: _Trial, checkpoint: Checkpoint) -> None:
        arrays = checkpoint.arrays
        state: dict[str, Any] = {
            slot: [to_device(arrays[f"{slot}/{variable.path}"]) for variable in self._network.trainable]
            for slot in SLOTS
            if slot != "second" or trial.hyperparameters.optimizer is Optimizer.ADAM  # else it stays zero
        }
        trial.state |= {**state, "first_bad": to_device(arrays["first_bad"])}
        trial.frozen = [to_device(arrays[f"frozen/{variable.path}"]) for variable in self._network.frozen]
        trial.step = checkpoint.step

    def _keep_weights(self, trial: _Trial) -> None:
        values = weights.named_values(self._network, trial.state["weights"], trial.frozen)
        weights.save_weights(trial.directory / WEIGHTS_FILE, values, classes=list(self._train_set.classes))


def _look_is_due(steps: int, unseen: int) -> bool:
    return unseen >= min(LOOK_EVERY_STEPS, steps / STEPS_PER_LATE_STEP)


def _on_device(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: to_device(array) for name, array in arrays.items()}
