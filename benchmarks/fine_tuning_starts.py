"""How trial 1 should begin from a whole detector: AP of short trials by optimizer, rate, batch and anchors.

    python -m benchmarks.fine_tuning_starts [--images 240] [--source-images 1440]

The detector was trained from scratch on another domain (`benchmarks.parts.other_shapes`), the trials are on the sample
data. What is not named is the reference's, with derived anchors, as many a cell as the detector has.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.parts.machine import Machine
from benchmarks.parts.other_domain import CANVAS, MICRO_BATCH, SIZE_PX, train_source, weights_in
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console
from benchmarks.parts.timing import TimedTrainer
from benchmarks.scratch_starts import average_precision
from detector.config import Hyperparameters
from detector.data.sample_data import write_sample
from detector.weight_files.starting_point import SCRATCH
from search.plan import Plan
from search.policy.derived_point import canvas_boxes, derived_anchors, derived_start
from search.study.budget import Budget
from search.study.canvas import parse_canvas
from search.study.data_section import Data
from search.study.detector_section import DetectorSection
from search.study.specification import Specification
from spaces.faster_rcnn import Space
from spaces.parameters import Fixed, Value

SCRIPT = "benchmarks.fine_tuning_starts"
SPACE = Space.default()
SAME_COUNTS = SPACE.replaced({"anchor_scales": Fixed(value=1), "anchor_ratios": Fixed(value=3)})


def sgd(rate: float, batch_size: int) -> dict[str, Value]:
    """SGD at a rate per 16 images."""
    return {"optimizer": "sgd", "lr_per_16": rate, "batch_size": batch_size}


def adam(rate: float, batch_size: int) -> dict[str, Value]:
    """Adam at a rate per 16 images."""
    return {"optimizer": "adam", "adam_lr_per_16": rate, "batch_size": batch_size}


STARTS: dict[str, dict[str, Value]] = {
    "SGD 0.02, batch 16: the reference": sgd(0.02, 16),
    "SGD 0.02, batch 8": sgd(0.02, 8),
    "SGD 0.002, batch 4: Detectron2's tutorial": sgd(0.002, 4),
    "SGD 0.01, batch 4": sgd(0.01, 4),
    "SGD 0.02, batch 4: MMDetection's": sgd(0.02, 4),
    "SGD 0.04, batch 4: torchvision's tutorial": sgd(0.04, 4),
    "Adam 0.0001, batch 4": adam(1e-4, 4),
    "Adam 0.0003, batch 4": adam(3e-4, 4),
    "Adam 0.001, batch 4: trial 1 from scratch": derived_start(SPACE, start=SCRATCH),
}


def specification(folder: Path, weights: Path, images: int) -> Specification:
    """A study whose every trial begins with these weights."""
    return Specification(
        name="benchmark",
        storage="sqlite:///never-opened.db",
        data=Data(folder=folder / "data"),
        detector=DetectorSection(canvas=parse_canvas(CANVAS), micro_batch=MICRO_BATCH, weights=str(weights)),
        space=SPACE,
        budget=Budget(images=images),
    )


def starts(study: Specification) -> Iterator[tuple[str, Hyperparameters]]:
    """Each start, by name; the best known one also with other anchors."""
    train, _ = study.data.load(seed=0)
    boxes = canvas_boxes(train, parse_canvas(CANVAS))
    same, free = (derived_anchors(boxes, space, seed=0) for space in (SAME_COUNTS, SPACE))
    if same is None or free is None:
        raise ValueError("the spaces of this script have anchors to derive")
    counts: dict[str, Value] = {"anchor_scales": 1, "anchor_ratios": 3}
    for name, start in STARTS.items():
        yield name, _at(counts | same.values | start)
    yield (
        f"SGD 0.01, batch 4, derived without these counts ({free.anchors.per_cell} a cell)",
        _at(free.values | sgd(0.01, 4)),
    )
    yield "SGD 0.01, batch 4, Detectron2's anchors", _at(sgd(0.01, 4))


def _at(values: dict[str, Value]) -> Hyperparameters:
    return SPACE.configuration(SPACE.nearest(values))


def main(
    images: Annotated[int, typer.Option(help="Budget of each trial, in training images seen.")] = 240,
    source_images: Annotated[int, typer.Option(help="On which the detector is trained before.")] = 1440,
    work: Annotated[Path | None, typer.Option(help="Folder that keeps the detector for the next time.")] = None,
    document: Annotated[Path, typer.Option(help="Where the table goes.")] = DOCUMENT,
) -> None:
    """Measure each start, and put the table into the document."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = (work or folder) / f"source-{source_images}"
        if not weights_in(source).is_file():
            train_source(source, source_images)
        write_sample(folder / "data", size_px=SIZE_PX)
        study = specification(folder, weights_in(source), images)
        trainer = TimedTrainer(Plan.of(study, folder).setup)
        rows = []
        for start, hyperparameters in starts(study):
            rows.append((start, average_precision(trainer, hyperparameters, images, 0, folder / "trial")))
            wide_console().print(*rows[-1])
    table = Table(
        caption=f"AP after {images} training images from a detector of another domain, canvas {CANVAS}",
        columns=("start", "AP"),
        rows=tuple(rows),
    )
    section = Section(
        script=SCRIPT.removeprefix("benchmarks."),
        title="Starts from a whole detector",
        tables=(table,),
        notes=(f"The detector had seen {source_images} images. Two stages are frozen.",),
    )
    machine = Machine.here(backend=trainer.backend, device=trainer.device, script=SCRIPT)
    publish(section, machine, document, wide_console())


if __name__ == "__main__":
    typer.run(main)
