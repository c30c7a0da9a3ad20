"""How often the rules of the watch are wrong: healthy trials on one warm trainer, every finding counted, none obeyed.

    python -m benchmarks.false_alarms [--data DIR] [--trials N] [--steps N]

Learning rates, optimizers, batch sizes, augmentation and seeds vary within what trains; no weights are loaded.
"""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.parts.table import Table, drawing, wide_console
from detector.config import Anchors, Augmentation, Detector, Hyperparameters, Optimizer
from detector.data.layout import find_sources
from detector.data.sample_data import write_sample
from detector.setup import Setup
from detector.training.trainer import Trainer
from detector.watch.finding import Figures, Finding, TrialContext
from detector.watch.watch import Watch, trial_context
from search.study.canvas import parse_canvas
from trial.reports import RungReport

MICRO_BATCH = 4
SMALL, LARGE = (8.0, 16.0, 32.0, 64.0, 128.0), (12.0, 24.0, 48.0, 96.0, 192.0)  # anchors of P2 to P6, px
SGD_RATES, ADAM_RATES = (2e-3, 4e-2), (5e-5, 5e-4)  # per 16 images, from scratch, clipped


class Tally(Watch):
    """A watch that only counts: the first finding of each rule."""

    def __init__(self, context: TrialContext) -> None:
        super().__init__(context)
        self.found: dict[str, Finding] = {}

    def observe(self, step: int, figures: Figures) -> Finding | None:
        for finding in self.findings(step, figures):
            self.found.setdefault(finding.rule, finding)
        return None


class TalliedTrainer(Trainer):
    """A trainer whose trials are watched and never ended."""

    def begin(self, hyperparameters: Hyperparameters, **named: Any) -> int:
        images = super().begin(hyperparameters, **named)
        self.tally = Tally(trial_context(hyperparameters, self.shape, named["budget_images"]))
        self._running().watch = self.tally
        return images


def healthy(number: int) -> Hyperparameters:
    """One of endlessly many configurations that train; the same number gives the same one."""
    random = np.random.default_rng(number)
    adam = number % 3 == 2
    low, high = ADAM_RATES if adam else SGD_RATES
    return Hyperparameters(
        anchors=Anchors(sizes_px=tuple((size,) for size in (SMALL, LARGE)[number % 2])),
        batch_size=MICRO_BATCH * (1, 2)[number // 2 % 2],
        lr_per_16=float(np.exp(random.uniform(np.log(low), np.log(high)))),
        optimizer=Optimizer.ADAM if adam else Optimizer.SGD,
        clip_norm=10.0,
        warmup_fraction=0.05,
        augmentation=Augmentation.of_strength((0.0, 0.1, 0.3, 0.6)[number % 4]),
    )


def main(
    data: Annotated[Path | None, typer.Option(help="a COCO or VOC folder; the sample data without it")] = None,
    canvas: Annotated[str, typer.Option(help="HEIGHTxWIDTH")] = "64x96",
    trials: Annotated[int, typer.Option(min=1)] = 20,
    steps: Annotated[int, typer.Option(min=1, help="optimizer steps of a trial")] = 60,
) -> None:
    """Train, print what each trial would have been told, and how often each rule spoke."""
    console = wide_console()
    rows, counts = [], Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if data is None:
            write_sample(folder / "data")
        trainer = _trainer(data or folder / "data", canvas, folder)
        for number in range(trials):
            configuration = healthy(number)
            images = steps * configuration.batch_size
            trainer.begin(configuration, seed=number, budget_images=images, directory=folder / "trial")
            report = trainer.advance(images, lambda progress: None, lambda: False)
            ap = report.ap if isinstance(report, RungReport) else float("nan")
            found = trainer.tally.found.values()
            counts.update((finding.rule, finding.severity.value) for finding in found)
            said = "; ".join(f"{finding.rule} at {finding.step}" for finding in found) or "–"
            rows.append((number, configuration.optimizer.value, configuration.lr_per_16, images, ap, said))
            console.print(f"trial {number}: AP {ap:.3f}, {said}", highlight=False)
    columns = ("trial", "optimizer", "lr_per_16", "images", "AP", "findings")
    console.print(
        drawing(Table(caption=f"{trials} healthy trials of {steps} steps", columns=columns, rows=tuple(rows)))
    )
    for (rule, severity), count in counts.most_common():
        console.print(f"{rule} ({severity}): {count} of {trials} trials", highlight=False)
    console.print(f"findings that would have ended one: {sum(n for (_, s), n in counts.items() if s != 'warning')}")


def _trainer(data: Path, canvas: str, folder: Path) -> TalliedTrainer:
    train, validation = find_sources(data)
    setup = Setup(
        train=train,
        validation=validation,
        validation_share=0.2,
        detector=Detector(canvas=parse_canvas(canvas)),
        anchors_per_cell=3,
        micro_batch=MICRO_BATCH,
        validation_images=8,
        cache=folder / "cache",
        seed=0,
    )
    return TalliedTrainer(setup)


if __name__ == "__main__":
    typer.run(main)
