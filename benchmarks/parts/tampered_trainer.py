"""The real trainer on made-up images, with ways to spoil what a trial is made of; one serves every case, warm."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from detector.backend import to_device, to_host
from detector.boxes import Tensor
from detector.config import Anchors, Augmentation, Canvas, Detector, Hyperparameters
from detector.data.batches import TrainingBatches
from detector.data.sample_data import write_sample
from detector.data_source import DataFormat, DataSource
from detector.setup import Setup
from detector.training.step import State
from detector.training.trainer import Trainer
from trial.reports import PausedReport, ProgressReport, RungReport, Warned
from trial.verdict import Verdict

SIDE_PX = 64
BATCH = 4
IMAGES = 12
NOTHING = "nothing"
HEALTHY = Hyperparameters(
    anchors=Anchors(sizes_px=((12.0,), (24.0,), (48.0,), (96.0,), (192.0,)), ratios=(1.0,)),
    batch_size=BATCH,
    lr_per_16=0.02,
    clip_norm=10.0,
    warmup_fraction=0.05,
    augmentation=Augmentation(flip_probability=0.0),
)

Batch = dict[str, np.ndarray]
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The first finding of a trial: the rule that ended it, else its first warning, else `NOTHING`."""

    rule: str
    step: int = 0
    severity: str = ""
    images: tuple[str, ...] = ()


class TamperedBatches(TrainingBatches):
    """The batches of another, each changed before it is used; `change` also gets the names of the images."""

    def __init__(self, honest: TrainingBatches, change: Callable[[Batch, list[str]], None]) -> None:
        self._honest = honest
        self._change = change

    def arrays(self, seed: int, first_sample: int, count: int) -> Batch:
        batch = self._honest.arrays(seed, first_sample, count)
        self._change(batch, self._honest.names(seed, first_sample, count))
        return batch

    def names(self, seed: int, first_sample: int, count: int) -> list[str]:
        return self._honest.names(seed, first_sample, count)


class TamperedTrainer(Trainer):
    """A trainer whose trials can be spoilt; `restore` makes it honest again."""

    def __init__(self, folder: Path, *, weights: str = "none") -> None:
        self._changes: dict[str, Change] = {}
        self._folder = folder
        data = folder / "data"
        if not data.exists():
            write_sample(data, train=IMAGES, validation=2, size_px=(SIDE_PX, SIDE_PX))
        setup = Setup(
            train=_source(data, "train"),
            validation=_source(data, "val"),
            validation_share=0.2,
            detector=Detector(
                canvas=Canvas(height_px=SIDE_PX, width_px=SIDE_PX), weights=weights, frozen_stages=0, roi_samples=32
            ),
            anchors_per_cell=3,
            micro_batch=BATCH,
            validation_images=None,
            cache=folder / "cache",
            seed=0,
        )
        super().__init__(setup)
        self._honest = self._batches
        self._untouched = self._frozen

    def restore(self) -> None:
        self._changes = {}
        self._batches = self._honest
        self._frozen = self._untouched

    def tamper_batches(self, change: Callable[[Batch, list[str]], None]) -> None:
        """Change every batch on its way to the step."""
        self._batches = TamperedBatches(self._honest, change)

    def tamper_weights(self, ending: str, change: Change) -> None:
        """Change every trial's initial values of the trained variables whose path ends like that."""
        self._changes[ending] = change

    def tamper_frozen(self, ending: str, change: Change) -> None:
        """The same for variables that are not trained: batch norm."""
        self._frozen = self._changed(self._frozen, [v.path for v in self._network.frozen], {ending: change})

    def _fresh_state(self, seed: int, anchors: Anchors) -> State:
        state = super()._fresh_state(seed, anchors)
        state["weights"] = self._changed(state["weights"], [v.path for v in self._network.trainable], self._changes)
        return state

    def _changed(self, values: Sequence[Tensor], paths: list[str], changes: dict[str, Change]) -> list[Tensor]:
        unknown = [ending for ending in changes if not any(path.endswith(ending) for path in paths)]
        if unknown:
            raise ValueError(f"no variable is called {unknown[0]}")
        changed = []
        for value, path in zip(values, paths, strict=True):
            chosen = [change for ending, change in changes.items() if path.endswith(ending)]
            changed.append(to_device(chosen[0](to_host(value)).astype(np.float32)) if chosen else value)
        return changed

    def evaluate(self, *on_stage: Any, **named: Any) -> dict[str, float]:
        """Not needed here, and another executable."""
        return {"ap": 0.0}

    def first_finding(self, steps: int, **named: object) -> First:
        """What the watch says first in a trial of so many steps; `named` replaces fields of `HEALTHY`."""
        hyperparameters = replace(HEALTHY, **named)  # type: ignore[arg-type]
        images = steps * BATCH
        warnings: dict[str, Warned] = {}

        def note(report: ProgressReport) -> None:
            for warned in report.warnings:
                warnings.setdefault(warned.rule, warned)

        self.begin(hyperparameters, seed=0, budget_images=images, directory=self._folder / "trial")
        return _first(self.advance(images, note, lambda: False), warnings)


def _first(report: RungReport | PausedReport | Verdict, warnings: dict[str, Warned]) -> First:
    if isinstance(report, Verdict):
        names = str(report.evidence.get("images", "")).split("\n")
        severity = "study" if report.study_wide else "trial"
        return First(rule=str(report.evidence["rule"]), step=report.step, severity=severity, images=tuple(names))
    for warned in warnings.values():
        return First(rule=warned.rule, step=warned.step, severity="warning")
    return First(rule=NOTHING)


def _source(data: Path, split: str) -> DataSource:
    return DataSource(format=DataFormat.COCO, images=data / "images", annotations=data / f"{split}.json")
