"""The trainer: one process, one compiled step, trial after trial.

Between trials nothing is built, traced or allocated anew: the weights are reset and other numbers are fed.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np

from detector import backend
from detector.backend import give_memory_back, on_device, own, to_device, to_host
from detector.boxes import Tensor
from detector.config import Anchors, Hyperparameters, StepShape
from detector.data.batches import TrainingBatches
from detector.data.dataset import ground_truth_slots
from detector.data.image_cache import open_cache
from detector.data.pair import load_pair
from detector.detector_facts import WEIGHTS_FILE
from detector.network import weights
from detector.network.given_heads import GivenHeads
from detector.network.network import Network
from detector.schedule import optimizer_steps
from detector.setup import Progress, Setup, unheard
from detector.training.checkpoint import KEPT, drop_checkpoints, newest_checkpoint, save_checkpoint
from detector.training.compiled_steps import CompiledSteps, fastest_steps
from detector.training.inputs import step_inputs, trial_inputs
from detector.training.replay import REPLAYED, Replay, blamed
from detector.training.running_trial import RunningTrial
from detector.training.step import State, initial_state
from detector.training.validation import Validation, images_worth
from detector.watch.finding import Finding
from detector.watch.health import unpack
from detector.watch.watch import Watch, trial_context
from trial.reports import PausedReport, ProgressReport, RungReport
from trial.verdict import Verdict

STEPS_PER_LATE_STEP = 10  # most that diverge do so early: the watch is late by a tenth of the steps so far at most,
LOOK_EVERY_STEPS = 10  # and looks this often at least


class Trainer:
    """Loads the data, builds the network, compiles at the first step, and then runs any number of trials."""

    def __init__(self, setup: Setup, *, on_progress: Progress = unheard) -> None:
        backend.prepare_device(setup.cache)
        train_set, validation_set = load_pair(
            setup.train, setup.validation, share=setup.validation_share, seed=setup.seed
        )
        train_cache, validation_cache = (
            open_cache(
                part, setup.detector.canvas, setup.cache, progress=partial(on_progress, f"decoding {name} images")
            )
            for name, part in (("training", train_set), ("validation", validation_set))
        )
        self._validation = Validation(validation_set, validation_cache, setup.validation_images)
        slots = ground_truth_slots(train_set)
        self._batches = TrainingBatches(train_set, train_cache, slots)
        self._classes = train_set.classes
        found = weights.found_weights(setup.detector.weights, setup.detector.backbone, on_progress)
        largest = StepShape.for_detector(
            setup.detector,
            anchors_per_cell=setup.anchors_per_cell,
            boxes_per_image=slots,
            classes=len(train_set.classes),
            micro_batch=setup.micro_batch,
        )
        if found is not None:
            largest = replace(largest, geometry=found.geometry)
        sample = np.asarray(train_cache.pixels[: weights.CALIBRATION_IMAGES])

        def fill(network: Network) -> None:
            given = setup.detector.weights
            on_progress(weights.stage(given, found), 0, 1)
            weights.initial_backbone(network, given, setup.seed, sample, setup.cache, found)
            if setup.whole_weights:
                weights.load_weights(network, Path(given), whole=True)

        on_progress("building the network", 0, 1)
        steps = (
            fastest_steps(largest, fill, self._batches, setup.cache, on_progress)
            if setup.measure_micro_batch
            else CompiledSteps.of(largest, fill)
        )
        self.shape, self._network = steps.shape, steps.network
        self.train_step, self.predict_step = steps.train_step, steps.predict_step
        self._blank = initial_state([to_device(to_host(variable)) for variable in self._network.trainable])
        self._frozen = [to_device(to_host(variable)) for variable in self._network.frozen]
        self._watches = setup.watch
        self._whole, self._given = setup.whole_weights, GivenHeads.of(found, train_set.classes)
        self._trial: RunningTrial | None = None
        self._stepped = False
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self.backend = backend.BACKEND
        self.device = backend.device_name()
        self.versions = {"keras": keras.__version__, "numpy": np.__version__}

    def begin(
        self,
        hyperparameters: Hyperparameters,
        *,
        seed: int,
        budget_images: int,
        directory: Path,
        keep_weights: bool = False,
        early_parts: bool = False,
    ) -> int:
        """Reset to the trial's start, or to its newest valid checkpoint; returns the images already trained.

        With `early_parts`, evaluations before the end of the budget take part of the validation images. With
        `keep_weights` the end of the budget leaves WEIGHTS_FILE in the directory, and the last checkpoint, from which a
        longer training can go on.
        """
        self._trial = None  # its state makes room for the next: two at once are half a gigabyte more
        give_memory_back()
        inputs = trial_inputs(hyperparameters, self.shape, seed)
        self._trial = RunningTrial(
            hyperparameters=hyperparameters,
            seed=seed,
            budget_images=budget_images,
            directory=directory,
            keep_weights=keep_weights,
            early_parts=early_parts,
            network=self._network,
            inputs={name: to_device(value) for name, value in inputs.items()},
            state=self._fresh_state(seed, hyperparameters.anchors),
            frozen=self._frozen,
            watch=Watch(trial_context(hyperparameters, self.shape, budget_images, fresh_heads=not self._given.values)),
        )
        if (checkpoint := newest_checkpoint(directory)) is not None:
            self._trial.restore(checkpoint)
        return self._trial.images

    def _fresh_state(self, seed: int, anchors: Anchors) -> State:
        """The state at step 0: heads are drawn anew but for what a file gives of them, the rest is every trial's."""
        if self._whole:
            return keras.tree.map_structure(own, self._blank)
        for number, part in enumerate(self._network.heads):
            weights.reseed(part, seed + number)
        network, initial, given = self._network, self._blank["weights"], self._given
        values = [
            same if component == "backbone" else to_device(given.over(variable, anchors))
            for variable, component, same in zip(network.trainable, network.component_of, initial, strict=True)
        ]
        return keras.tree.map_structure(own, {**self._blank, "weights": values})

    def advance(
        self,
        to_images: int,
        on_progress: Callable[[ProgressReport], None],
        should_pause: Callable[[], bool],
        on_stage: Progress = unheard,
    ) -> RungReport | PausedReport | Verdict:
        """Train until `to_images` were seen (whole optimizer steps), checkpoint and evaluate.

        `on_stage` hears of the first step, which compiles, and of every batch that is evaluated. Stops before that when
        `should_pause` answers yes between two steps, with a checkpoint, or when the watch finds that the trial is not
        training.
        """
        trial = self._running()
        started = time.monotonic()
        begun_at = trial.images
        pending: list[tuple[int, Tensor]] = []
        last = optimizer_steps(to_images, trial.hyperparameters.batch_size)
        if not self._stepped:
            on_stage("compiling the first step", 0, 1)
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
        return self._rung(trial, to_images, time.monotonic() - started, on_stage)

    def _optimizer_step(self, trial: RunningTrial) -> Tensor:
        """One batch: its micro-batches accumulated and applied; returns the packed figures."""
        micro_batch, batch_size = self.shape.micro_batch, trial.hyperparameters.batch_size
        rate = trial.learning_rate
        micro_steps = batch_size // micro_batch
        figures, self._stepped = None, True
        for micro_step in range(micro_steps):
            first_sample = trial.images + micro_step * micro_batch
            batch = self._batches.arrays(trial.seed, first_sample, micro_batch)
            varying = step_inputs(learning_rate=rate, step=trial.step, micro_step=micro_step, micro_steps=micro_steps)
            inputs = {**trial.inputs, **on_device(varying)}
            trial.state, figures = self.train_step(trial.state, trial.frozen, on_device(batch), inputs)
        return figures

    def _look(
        self,
        trial: RunningTrial,
        pending: list[tuple[int, Tensor]],
        on_progress: Callable[[ProgressReport], None],
        images_per_s: float,
    ) -> Verdict | None:
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
                    on_progress(trial.progress(passed, each, images_per_s))
                return self._stop(trial, finding)
        on_progress(trial.progress(step, figures, images_per_s))
        return None

    def _stop(self, trial: RunningTrial, finding: Finding) -> Verdict:
        if not trial.keep_weights:
            drop_checkpoints(trial.directory)
        return trial.verdict(self._blame(trial, finding) if finding.rule in REPLAYED else finding)

    def _blame(self, trial: RunningTrial, finding: Finding) -> Finding:
        """Try the batch of the finding on the trial's initial weights: is it the configuration, or the pictures?"""
        trial.state = self._fresh_state(trial.seed, trial.hyperparameters.anchors)
        replay = Replay(self._batches, trial.seed, self.shape.micro_batch, run=lambda batch: self._tried(trial, batch))
        batch_size = trial.hyperparameters.batch_size
        return blamed(finding, replay, finding.step * batch_size, batch_size)

    def _tried(self, trial: RunningTrial, batch: dict[str, np.ndarray]) -> dict[str, float]:
        """Figures of one micro-batch as a batch of its own; with a learning rate of 0 the weights stay as they are."""
        once = step_inputs(learning_rate=0.0, step=0, micro_step=0, micro_steps=1)
        inputs = {**trial.inputs, **on_device(once)}
        trial.state, figures = self.train_step(trial.state, trial.frozen, on_device(batch), inputs)
        return unpack(to_host(figures))

    def _rung(self, trial: RunningTrial, to_images: int, training_s: float, on_stage: Progress) -> RungReport:
        finished = trial.images >= trial.budget_images
        saving = None if finished and not trial.keep_weights else self._begin_save(trial)
        if finished and trial.keep_weights:
            self._keep_weights(trial)
        started = time.monotonic()
        early = trial.early_parts and not finished
        metrics = self.evaluate(on_stage, most_images=images_worth(to_images) if early else None)
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

    def evaluate(self, on_stage: Progress = unheard, *, most_images: int | None = None) -> dict[str, float]:
        """COCO metrics of the running trial's weights on the validation images, or on part of them."""
        trial = self._running()

        def predict(images: Tensor, extents: Tensor) -> dict[str, Tensor]:
            return self.predict_step(trial.state["weights"], trial.frozen, images, extents, trial.inputs)

        return self._validation.evaluated(predict, self.shape.micro_batch, on_stage, most_images=most_images).metrics

    def _running(self) -> RunningTrial:
        if self._trial is None:
            raise RuntimeError("no trial was begun")
        return self._trial

    def _begin_save(self, trial: RunningTrial) -> "Future[Path]":
        """Begin to write a checkpoint; the disk is waited for elsewhere, and no step may run before `_finish_save`."""
        kept = 1 if trial.images >= trial.budget_images else KEPT
        return self._writer.submit(save_checkpoint, trial.directory, trial.checkpoint(), kept=kept)

    def _finish_save(self, saving: "Future[Path]") -> None:
        """Wait until the checkpoint is whole; raises what its writing raised."""
        saving.result()

    def _keep_weights(self, trial: RunningTrial) -> None:
        values = weights.named_values(self._network, trial.state["weights"], trial.frozen)
        weights.save_weights(
            trial.directory / WEIGHTS_FILE,
            values,
            classes=list(self._classes),
            shape=asdict(self.shape),
            hyperparameters=asdict(trial.hyperparameters),
        )


def _look_is_due(steps: int, unseen: int) -> bool:
    return unseen >= min(LOOK_EVERY_STEPS, steps / STEPS_PER_LATE_STEP)
