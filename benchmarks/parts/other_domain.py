"""A detector of another domain than the sample data's, to begin with, as `train` leaves it."""

import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.parts.other_shapes import write_other_shapes
from detector.detector_facts import WEIGHTS_FILE
from detector.weight_files.starting_point import SCRATCH
from search.policy.derived_point import canvas_boxes, derived_anchors, derived_start
from search.study.budget import Budget
from search.study.canvas import parse_canvas
from search.study.data_section import Data
from search.study.detector_section import DetectorSection
from search.study.specification import Specification
from spaces.faster_rcnn import Space
from spaces.parameters import Fixed
from trial.reports import RungReport

CANVAS, MICRO_BATCH = "64x96", 4  # a micro-batch that is measured may be another one from study to study
SIZE_PX = (96, 128)
PICTURES = 240


def train_source(folder: Path, images: int) -> dict[str, Any]:
    """Train a detector in the folder, from scratch, on so many images; returns its AP, and what it was trained on.

    In a process of its own, whose memory others then have. The folder is there once all is done.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        begun = Path(name) / "source"
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(_train, begun, images).result()
        begun.rename(folder)
    return found


def weights_in(folder: Path) -> Path:
    """The weights that a training left in that folder."""
    return (folder / "trained" / WEIGHTS_FILE).absolute()


def _train(folder: Path, images: int) -> dict[str, Any]:
    from detector.training.trainer import Trainer
    from search.plan import Plan

    write_other_shapes(folder / "data", seed=11, train=PICTURES, validation=48, size_px=SIZE_PX)
    space = Space.default().replaced({"anchor_scales": Fixed(value=1), "anchor_ratios": Fixed(value=3)})
    specification = Specification(
        name="source",
        storage="sqlite:///never-opened.db",
        data=Data(folder=folder / "data"),
        detector=DetectorSection(canvas=parse_canvas(CANVAS), micro_batch=MICRO_BATCH),
        space=space,
        budget=Budget(images=images),
    )
    train, _ = specification.data.load(seed=0)
    derived = derived_anchors(canvas_boxes(train, parse_canvas(CANVAS)), space, seed=0)
    values = (derived.values if derived else {}) | derived_start(space, start=SCRATCH)
    trainer = Trainer(Plan.of(specification, folder).setup)
    trainer.begin(
        space.configuration(space.nearest(values)),
        seed=0,
        budget_images=images,
        directory=folder / "trained",
        keep_weights=True,
    )
    report = trainer.advance(images, lambda progress: None, lambda: False)
    if not isinstance(report, RungReport):
        raise RuntimeError(f"the detector to begin with must be trained to its end, but: {report}")
    return {"part": "source", "ap": report.ap, "backend": trainer.backend, "device": trainer.device}
