"""A trainer without a network: closed-form learning curves, so that scheduling and faults can be tested in seconds.

The curves have the shape of the real thing. AP rises towards a ceiling that depends on learning rate, anchors and
augmentation; above a stable learning rate the losses explode after some steps; far below it nothing moves. Equal
hyperparameters and seeds give equal curves. Nothing here says how a real detector does: whoever shows figures made
with it says so.

Environment variables, for tests of faults:
    FRCNN_ANALYTIC_STEP_S    seconds to sleep in each step
    FRCNN_ANALYTIC_FAULTS    accidents on purpose (search/trainer/analytic_faults.py)
"""

import json
import math
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from detector.config import Hyperparameters, Optimizer
from detector.json_text import read_json
from detector.setup import Setup
from detector.whole_file import write_whole
from search.trainer.analytic_faults import Faults, WrongWeights
from search.trainer.protocol import Preparing, Ready, Start, Started, encode
from trial.outcome import Outcome
from trial.reports import PausedReport, ProgressReport, RungReport
from trial.verdict import Verdict

STABLE_RATE = 0.1  # above it the losses explode
DEAD_RATE = 2e-5  # below it nothing moves
BEST_RATE = 0.02
ADAM_GAIN = 200.0  # Adam at 1e-4 is as fast as SGD at 0.02
BEST_SIZE_PX = 24.0
LOG_INTERVAL_STEPS = 5


def effective_rate(hyperparameters: Hyperparameters) -> float:
    """SGD's learning rate per 16 images that a step feels: after momentum (1 at 0.9), of the faster head."""
    rate = hyperparameters.lr_per_16 * max(1.0, hyperparameters.rpn_lr_factor)
    if hyperparameters.optimizer is Optimizer.ADAM:
        return ADAM_GAIN * rate
    return rate * 0.1 / (1.0 - hyperparameters.momentum)


def ceiling(hyperparameters: Hyperparameters) -> float:
    """AP after endless training, in (0, 0.6]: falls off with the distance from the best rate, anchors, augmentation."""
    rate = math.log10(effective_rate(hyperparameters) / BEST_RATE)
    size = math.log2(hyperparameters.anchors.sizes_px[0][0] / BEST_SIZE_PX)
    scale = hyperparameters.augmentation.scale - 0.3
    return 0.6 * math.exp(-0.8 * rate**2 - 0.3 * size**2 - 1.0 * scale**2)


def curve(hyperparameters: Hyperparameters, images: int, budget_images: int) -> float:
    """AP after so many images: nine tenths of the way to the ceiling at the end of a budget."""
    return ceiling(hyperparameters) * (1.0 - 0.1 ** (images / budget_images))


def explosion_step(hyperparameters: Hyperparameters) -> int | None:
    """The optimizer step at which the losses explode, or None where they never do."""
    rate = effective_rate(hyperparameters)
    return max(2, math.ceil(20 * STABLE_RATE / rate)) if rate > STABLE_RATE else None


@dataclass(slots=True, kw_only=True)
class _Trial:
    start: Start
    images: int

    @property
    def step(self) -> int:
        return self.images // self.start.hyperparameters.batch_size


class AnalyticRunner:
    """A `TrialRunner` whose steps cost nothing but what the environment asks for."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._step_s = float(environment.get("FRCNN_ANALYTIC_STEP_S", "0"))
        self._faults = Faults.parse(environment.get("FRCNN_ANALYTIC_FAULTS", ""))
        self._trial: _Trial | None = None

    def setup(self, setup: Setup, on_preparing: Callable[[Preparing], None]) -> Ready:
        on_preparing(Preparing(stage="curves", done=1, total=1))
        return Ready(backend="analytic", device="none", versions={}, setup_s=0.0)

    def start(self, start: Start) -> Started:
        start.directory.mkdir(parents=True, exist_ok=True)
        self._trial = _Trial(start=start, images=_read_checkpoint(start))
        return Started(images=self._trial.images)

    def advance(
        self, to_images: int, on_progress: Callable[[ProgressReport], None], should_pause: Callable[[], bool]
    ) -> RungReport | PausedReport | Verdict:
        trial = self._require_trial()
        began_s, from_images = time.monotonic(), trial.images
        while trial.images < to_images:
            if should_pause():
                _write_checkpoint(trial)
                return PausedReport(images=trial.images)
            if trial.images >= (from_images + to_images) // 2:
                told = _progress(trial, time.monotonic() - began_s)
                try:
                    self._faults.strike(trial.start, partial(on_progress, told))
                except WrongWeights as error:
                    return _verdict(trial, Outcome.BAD_DATA, "backbone", str(error), {})
            time.sleep(self._step_s)
            trial.images += trial.start.hyperparameters.batch_size
            if verdict := _watch(trial):
                on_progress(_progress(trial, time.monotonic() - began_s))
                return verdict
            if trial.step % LOG_INTERVAL_STEPS == 0:
                on_progress(_progress(trial, time.monotonic() - began_s))
        _write_checkpoint(trial)
        return _rung(trial, time.monotonic() - began_s)

    def _require_trial(self) -> _Trial:
        if self._trial is None:
            raise RuntimeError("a trial must be started before it can advance")
        return self._trial


def _total_loss(trial: _Trial) -> float:
    hyperparameters = trial.start.hyperparameters
    explodes = explosion_step(hyperparameters)
    if explodes is not None and trial.step >= explodes:
        return math.inf
    if effective_rate(hyperparameters) < DEAD_RATE:
        return 2.0
    return 2.0 - 1.5 * curve(hyperparameters, trial.images, trial.start.budget_images)


def _watch(trial: _Trial) -> Verdict | None:
    loss = _total_loss(trial)
    if not math.isfinite(loss):
        rate = effective_rate(trial.start.hyperparameters)
        message = f"the RPN class loss became non-finite; the effective rate {rate:.3g} exceeds {STABLE_RATE:g}"
        evidence: dict[str, float | str] = {"loss_rpn_class": loss, "effective_rate": rate}
        return _verdict(trial, Outcome.DIVERGED, "loss_rpn_class", message, evidence)
    if effective_rate(trial.start.hyperparameters) < DEAD_RATE and trial.step >= 20:
        message = "the total loss has not moved in 20 steps"
        return _verdict(trial, Outcome.NOT_LEARNING, "loss", message, {"loss": loss})
    return None


def _verdict(trial: _Trial, outcome: Outcome, cause: str, message: str, evidence: dict[str, float | str]) -> Verdict:
    return Verdict(
        outcome=outcome,
        cause=cause,
        message=message,
        step=trial.step,
        images=trial.images,
        evidence=evidence,
        study_wide=outcome is Outcome.BAD_DATA,
    )


def _progress(trial: _Trial, elapsed_s: float) -> ProgressReport:
    rate = trial.images / elapsed_s if elapsed_s > 0 else 0.0
    figures = {"loss": _total_loss(trial), "learning_rate": trial.start.hyperparameters.learning_rate}
    return ProgressReport(step=trial.step, images=trial.images, figures=figures, images_per_s=rate)


def _rung(trial: _Trial, training_s: float) -> RungReport:
    noise = random.Random(f"{trial.start.seed}/{trial.images}").gauss(0.0, 0.003)
    value = curve(trial.start.hyperparameters, trial.images, trial.start.budget_images) + noise
    ap = min(1.0, max(0.0, value))
    return RungReport(
        step=trial.step,
        images=trial.images,
        ap=ap,
        metrics={"ap": ap, "ap50": min(1.0, 1.5 * ap)},
        training_s=training_s,
        evaluation_s=0.0,
    )


def _identity(start: Start) -> str:
    """What a checkpoint must agree with to be this trial's; where it lies and how far it ran may differ."""
    whole = json.loads(encode(start))
    return json.dumps([whole["hyperparameters"], whole["seed"]], sort_keys=True)


def _write_checkpoint(trial: _Trial) -> None:
    path = trial.start.directory / "checkpoint.json"
    write_whole(path, json.dumps({"identity": _identity(trial.start), "images": trial.images}))


def _read_checkpoint(start: Start) -> int:
    path = start.directory / "checkpoint.json"
    if not path.exists():
        return 0
    kept = read_json(path.read_text())
    return int(kept["images"]) if kept["identity"] == _identity(start) else 0
