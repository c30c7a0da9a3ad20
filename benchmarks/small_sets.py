"""What small sets cost: AP from scratch by the number of training images, AP's own error by that of validation images.

    python -m benchmarks.small_sets [--images 960]

One trial each, as trial 1 begins (docs/decisions/0022), on the sample data; all are evaluated on the same images. The
error is the standard deviation of AP over random parts of these, of the detector that was trained on most.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.parts.machine import Machine
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console
from benchmarks.scratch_starts import SPACE, starts
from detector.config import Hyperparameters
from detector.data.dataset import Dataset
from detector.data.metrics.average_precision import Detections, coco_metrics
from detector.data.pair import load_pair
from detector.data.sample_data import write_sample
from detector.training.trainer import Trainer
from detector.training.validation import Evaluation, Validation
from search.plan import Plan
from search.study.budget import Budget
from search.study.canvas import parse_canvas
from search.study.data_section import Data
from search.study.detector_section import DetectorSection
from search.study.specification import Specification
from trial.reports import RungReport

SCRIPT = "benchmarks.small_sets"
CANVAS = "64x96"
TRAINING = (20, 40, 80, 160, 320)
VALIDATION = 384
PARTS = (6, 12, 24, 48, 96)
DRAWS = 40


class KeepingValidation(Validation):
    """Keeps what was found in each image."""

    found: Sequence[Detections]

    def evaluated(self, *arguments: object, **named: object) -> Evaluation:
        evaluation = super().evaluated(*arguments, **named)  # type: ignore[arg-type]
        self.found = evaluation.detections
        return evaluation


def trained(folder: Path, images: int, start: Hyperparameters) -> tuple[float, KeepingValidation]:
    """AP of one trial on the sample in `folder / data`, and what it found."""
    specification = Specification(
        name="benchmark",
        storage="sqlite:///never-opened.db",
        data=Data(folder=folder / "data"),
        detector=DetectorSection(canvas=parse_canvas(CANVAS), micro_batch=4),
        space=SPACE,
        budget=Budget(images=images),
    )
    trainer = Trainer(Plan.of(specification, folder).setup)
    validation = KeepingValidation(*vars(trainer._validation).values())
    trainer._validation = validation
    trainer.begin(start, seed=0, budget_images=images, directory=folder / "trial")
    report = trainer.advance(images, lambda progress: None, lambda: False)
    return (report.ap if isinstance(report, RungReport) else 0.0), validation


def spread(dataset: Dataset, found: Sequence[Detections], part: int) -> tuple[float, float]:
    """Mean and standard deviation of AP over random parts of the images."""
    random = np.random.default_rng(part)
    draws = [random.choice(len(found), part, replace=False) for _ in range(DRAWS)]
    aps = [coco_metrics(dataset.select(list(draw)), [found[index] for index in draw])["ap"] for draw in draws]
    return float(np.mean(aps)), float(np.std(aps, ddof=1))


def main(
    images: Annotated[int, typer.Option(help="Budget of each trial, in training images seen.")] = 960,
    document: Annotated[Path, typer.Option(help="Where the tables go.")] = DOCUMENT,
) -> None:
    """Measure both, and put the tables into the document."""
    sizes: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample(folder / "data", train=max(TRAINING), validation=VALIDATION)
        start = dict(starts(folder / "data"))["Adam 0.001, batch 4: trial 1"]
        for count in TRAINING:
            write_sample(folder / "data", train=count, validation=VALIDATION)
            ap, validation = trained(folder, images, start)
            sizes.append((count, ap))
        data = Data(folder=folder / "data")
        _, dataset = load_pair(*data.sources(), share=data.validation_share, seed=0)
        errors = [(part, *spread(dataset, validation.found, part)) for part in PARTS]
    section = Section(
        script=SCRIPT.removeprefix("benchmarks."),
        title="Small sets",
        tables=(
            Table(
                caption=f"AP on {VALIDATION} images after {images} training images seen, from scratch, canvas {CANVAS}",
                columns=("training images", "AP"),
                rows=tuple(sizes),
            ),
            Table(
                caption=f"AP of the last detector on random parts of its validation images, {DRAWS} draws each",
                columns=("validation images", "mean AP", "standard deviation"),
                rows=tuple(errors),
            ),
        ),
        notes=("The sample data has 1 to 6 objects an image, of 3 classes",),
    )
    machine = Machine.here(backend="tensorflow", device="cpu", script=SCRIPT)
    publish(section, machine, document, wide_console())


if __name__ == "__main__":
    typer.run(main)
