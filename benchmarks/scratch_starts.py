"""How trial 1 should begin without pretrained weights: AP of short trials by optimizer, rate and batch.

    python -m benchmarks.scratch_starts [--images 480] [--seeds 1]

Everything but optimizer, rate and batch size is the reference's, with anchors derived from the boxes. On BCCD too,
where it is at hand.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.derived_anchors import boxes_on
from benchmarks.parts.machine import Machine
from benchmarks.parts.planted_data import BCCD
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console
from benchmarks.parts.timing import TimedTrainer
from detector.config import Hyperparameters
from detector.data.sample_data import write_sample
from detector.weight_files.starting_point import SCRATCH
from search.plan import Plan
from search.policy.derived_point import derived_anchors, derived_start
from search.study.budget import Budget
from search.study.canvas import parse_canvas
from search.study.data_section import Data
from search.study.detector_section import DetectorSection
from search.study.specification import Specification
from spaces.faster_rcnn import Space
from spaces.parameters import Fixed, Value
from trial.reports import RungReport

SCRIPT = "benchmarks.scratch_starts"
CANVAS = "96x128"
SPACE = Space.default()
STARTS: dict[str, dict[str, Value]] = {
    "SGD 0.02, batch 16: the reference": {"optimizer": "sgd", "lr_per_16": 0.02, "batch_size": 16},
    "SGD 0.002, batch 16": {"optimizer": "sgd", "lr_per_16": 0.002, "batch_size": 16},
    "SGD 0.002, batch 4": {"optimizer": "sgd", "lr_per_16": 0.002, "batch_size": 4},
    "Adam 0.0005, batch 16": {"optimizer": "adam", "adam_lr_per_16": 0.0005, "batch_size": 16},
    "Adam 0.0003, batch 4": {"optimizer": "adam", "adam_lr_per_16": 0.0003, "batch_size": 4},
    "Adam 0.001, batch 4: trial 1": derived_start(SPACE, start=SCRATCH),
    "Adam 0.003, batch 4": {"optimizer": "adam", "adam_lr_per_16": 0.003, "batch_size": 4},
}


def trainer_on(folder: Path, data: Path, images: int) -> TimedTrainer:
    """A trainer for every start."""
    specification = Specification(
        name="benchmark",
        storage="sqlite:///never-opened.db",
        data=Data(folder=data),
        detector=DetectorSection(canvas=parse_canvas(CANVAS), micro_batch=4),
        space=SPACE,
        budget=Budget(images=images),
    )
    return TimedTrainer(Plan.of(specification, folder).setup)


def starts(data: Path) -> Iterator[tuple[str, Hyperparameters]]:
    """Each start on this data, by name."""
    derived = derived_anchors(boxes_on(data, CANVAS), SPACE, seed=0)
    anchors = derived.values if derived else {}
    for name, start in STARTS.items():
        space = SPACE.replaced({key: Fixed(value=value) for key, value in start.items()})
        yield name, space.configuration(space.nearest({**anchors, **start}))


def average_precision(trainer: TimedTrainer, start: Hyperparameters, images: int, seed: int, folder: Path) -> float:
    """AP after one trial; 0 where the watch ended it."""
    trainer.begin(replace(start), seed=seed, budget_images=images, directory=folder)
    report = trainer.advance(images, lambda progress: None, lambda: False)
    return report.ap if isinstance(report, RungReport) else 0.0


def main(
    images: Annotated[int, typer.Option(help="Budget of each trial, in training images seen.")] = 480,
    seeds: Annotated[int, typer.Option(min=1)] = 1,
    document: Annotated[Path, typer.Option(help="Where the tables go.")] = DOCUMENT,
) -> None:
    """Measure each start, and put the table into the document."""
    rows: dict[str, list[float]] = {name: [] for name in STARTS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample(folder / "data")
        sets = {"sample data": folder / "data"} | ({"BCCD": BCCD} if BCCD.is_dir() else {})
        for data in sets.values():
            trainer = trainer_on(folder, data, images)
            for start, hyperparameters in starts(data):
                for seed in range(seeds):
                    rows[start].append(average_precision(trainer, hyperparameters, images, seed, folder / "trial"))
    columns = tuple(f"{which}, seed {seed}" for which in sets for seed in range(seeds))
    table = Table(
        caption=f"AP after {images} training images from scratch, canvas {CANVAS}",
        columns=("start", *columns),
        rows=tuple((start, *found) for start, found in rows.items()),
    )
    section = Section(script=SCRIPT.removeprefix("benchmarks."), title="Starts from scratch", tables=(table,))
    machine = Machine.here(backend=trainer.backend, device=trainer.device, script=SCRIPT)
    publish(section, machine, document, wide_console())


if __name__ == "__main__":
    typer.run(main)
