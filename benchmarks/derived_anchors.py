"""What anchors derived from the boxes are worth: their fit, and the AP of short trials that differ in nothing else.

    python -m benchmarks.derived_anchors [--canvas 64x96] [--images 960] [--seeds 3]

The objects of the dataset have sides of 6 to 16 px, and derived anchors are as many a cell as Detectron2's, so that all
trials run on one executable. Both are trained from scratch, with the same seeds, batches and schedule.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer

from benchmarks.parts.machine import Machine
from benchmarks.parts.planted_data import BCCD
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console
from benchmarks.parts.timing import TimedTrainer
from detector.config import Anchors, Hyperparameters, Optimizer
from detector.data.pair import load_pair
from detector.data.sample_data import write_sample
from search.plan import Plan
from search.policy.derived_point import canvas_boxes, derived_anchors
from search.study.budget import Budget
from search.study.canvas import parse_canvas
from search.study.data_section import Data
from search.study.detector_section import DetectorSection
from search.study.specification import Specification
from spaces.anchor_fit import CanvasBoxes, fit_anchors
from spaces.faster_rcnn import Space
from spaces.parameters import Fixed
from trial.reports import RungReport

SCRIPT = "benchmarks.derived_anchors"
SIDES_PX = (6.0, 16.0)
BCCD_CANVAS = "192x256"
SPACE = Space.default().replaced({"anchor_scales": Fixed(value=1), "anchor_ratios": Fixed(value=3)})
#: Adam, because from scratch it needs no luck with the rate; what else a trial has is Detectron2's.
COMMON = Hyperparameters(optimizer=Optimizer.ADAM, lr_per_16=1e-3, batch_size=4, decay_boundaries=(0.8,))


def boxes_on(folder: Path, canvas: str) -> CanvasBoxes:
    """The training boxes of a dataset folder."""
    data = Data(folder=folder)
    train, validation = data.sources()
    training_set, _ = load_pair(train, validation, share=data.validation_share, seed=0)
    return canvas_boxes(training_set, parse_canvas(canvas))


def fits(name: str, boxes: CanvasBoxes, derived: Anchors) -> Iterator[tuple[str | int | float, ...]]:
    """A row for each of the two sets of anchors."""
    for whose, anchors in (("Detectron2's", Anchors()), ("derived", derived)):
        shares = fit_anchors(boxes, anchors).whole
        row = (name, whose, anchors.per_cell, shares.half, shares.positive, shares.mean_iou)
        yield row


def derived_for(boxes: CanvasBoxes) -> Anchors:
    """Three anchors a cell, as Detectron2 has them, but around the boxes."""
    derived = derived_anchors(boxes, SPACE, seed=0)
    if derived is None:
        raise ValueError("the space of this script has anchors to derive")
    return derived.anchors


def average_precision(trainer: TimedTrainer, anchors: Anchors, *, images: int, seed: int, folder: Path) -> float:
    """AP after one trial; 0 where the watch ended it."""
    directory = folder / f"trial-{seed}-{anchors.sizes_px[0][0]:g}"
    trainer.begin(replace(COMMON, anchors=anchors), seed=seed, budget_images=images, directory=directory)
    report = trainer.advance(images, lambda progress: None, lambda: False)
    return report.ap if isinstance(report, RungReport) else 0.0


def main(
    canvas: Annotated[str, typer.Option(metavar="HxW")] = "64x96",
    images: Annotated[int, typer.Option(help="Budget of each trial, in training images seen.")] = 960,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    document: Annotated[Path, typer.Option(help="Where the tables go.")] = DOCUMENT,
) -> None:
    """Measure both, and put the tables into the document."""
    with tempfile.TemporaryDirectory() as name:
        folder, size = Path(name), parse_canvas(canvas)
        data = folder / "data"
        write_sample(data, train=120, validation=40, size_px=(size.height_px, size.width_px), sizes_px=SIDES_PX)
        boxes = boxes_on(data, canvas)
        derived = derived_for(boxes)
        rows = list(fits(f"small objects, {canvas}", boxes, derived))
        if BCCD.is_dir():
            cells = boxes_on(BCCD, BCCD_CANVAS)
            rows += fits(f"BCCD, {BCCD_CANVAS}", cells, derived_for(cells))
        specification = Specification(
            name="benchmark",
            storage="sqlite:///never-opened.db",
            data=Data(folder=data),
            detector=DetectorSection(canvas=size, micro_batch=COMMON.batch_size),
            space=SPACE,
            budget=Budget(images=images),
        )
        trainer = TimedTrainer(Plan.of(specification, folder).setup)
        aps = {
            whose: [average_precision(trainer, anchors, images=images, seed=s, folder=folder) for s in range(seeds)]
            for whose, anchors in (("Detectron2's", Anchors()), ("derived", derived))
        }
    columns = ("anchors", *(f"seed {seed}" for seed in range(seeds)), "mean")
    trained = Table(
        caption=f"AP on 40 validation images after {images} training images, from scratch, canvas {canvas}",
        columns=columns,
        rows=tuple((whose, *found, mean(found)) for whose, found in aps.items()),
    )
    fitted = Table(
        caption="Boxes by the best IoU of any anchor, on the true grid",
        columns=("data, canvas", "anchors", "per cell", "share ≥ 0.5", "share ≥ 0.7", "mean IoU"),
        rows=tuple(rows),
    )
    section = Section(
        script=SCRIPT.removeprefix("benchmarks."),
        title="Derived anchors",
        tables=(fitted, trained),
        notes=(f"Objects have sides of {SIDES_PX[0]:g} to {SIDES_PX[1]:g} px; trials differ in their anchors only",),
    )
    machine = Machine.here(backend=trainer.backend, device=trainer.device, script=SCRIPT)
    publish(section, machine, document, wide_console())


if __name__ == "__main__":
    typer.run(main)
