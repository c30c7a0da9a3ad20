"""The five configurations by which exports are judged, and what must come out of them by the project's own code."""

import json
from pathlib import Path

import numpy as np

from detector.config import Anchors, Augmentation, BackboneName, Canvas, Detector, Hyperparameters, Optimizer
from detector.data.dataset import Dataset, load_dataset
from detector.data.sample_data import write_sample
from detector.data_source import DataFormat, DataSource
from detector.network.anchors import cell_anchors, grid_anchors, level_sizes
from search.export.configuration_file import Configuration, Provenance
from search.export.frameworks.recipe import Recipe
from search.study.data_section import Data

CLASSES = ("disc", "square", "triangle")  # of the sample data

#: Nothing round: 10.3 iterations of warm-up, eight tenths of an octave a level, a canvas that is no square.
AWKWARD = Hyperparameters(
    anchors=Anchors(
        sizes_px=tuple(tuple(7.3 * 2**level * 2 ** (0.8 * i / 3) for i in range(3)) for level in range(5)),
        ratios=(0.37, 1.1, 2.9),
    ),
    lr_per_16=0.0137,
    rpn_lr_factor=1.7,
    momentum=0.87,
    weight_decay=3.3e-5,
    warmup_fraction=0.0123,
    warmup_factor=0.013,
    decay_boundaries=(0.613, 0.877),
    decay_factor=0.17,
    clip_norm=11.3,
    batch_size=12,
    augmentation=Augmentation.of_strength(0.37),
    rpn_positive_iou=0.66,
    rpn_negative_iou=0.27,
    rpn_positive_fraction=0.43,
    roi_positive_iou=0.47,
    roi_positive_fraction=0.31,
    proposal_nms_iou=0.73,
    detection_nms_iou=0.44,
    score_threshold=0.033,
)

#: Adam, a constant rate, and sizes that no rule gives.
ADAM = Hyperparameters(
    anchors=Anchors(
        sizes_px=((9.0, 20.0), (25.0, 41.0), (60.0, 77.0), (101.0, 155.0), (190.0, 300.0)), ratios=(0.5, 1.0)
    ),
    optimizer=Optimizer.ADAM,
    lr_per_16=1e-4,
    momentum=0.85,
    warmup_fraction=0.0,
    decay_boundaries=(),
    batch_size=4,
    low_quality_matches=False,
)


def configuration(
    hyperparameters: Hyperparameters, detector: Detector, *, images: int, classes: tuple[str, ...] = CLASSES
) -> Configuration:
    """A whole configuration around the hyperparameters, of a study of so many images a trial."""
    origin = Provenance(
        study="blood cells",
        trial=3,
        ap=0.42,
        ap_error=0.012,
        images=324,
        budget_images=images,
        seed=5,
        code_version="0.1.0",
        dataset_fingerprint="f" * 64,
        exported_at="2026-01-02T03:04:05+00:00",
    )
    data = Data(folder=Path("data"))
    return Configuration(
        hyperparameters=hyperparameters, detector=detector, classes=classes, data=data, provenance=origin
    )


#: By name: Detectron2's defaults, the awkward one, Adam with explicit anchors; a small backbone from nothing, as
#: `make study` has it, a deep one from ImageNet, and one from COCO's detector, whose anchors lie at the corners.
CASES = {
    "defaults": configuration(
        Hyperparameters(), Detector(canvas=Canvas(height_px=128, width_px=128)), images=90_000 * 16
    ),
    "awkward": configuration(
        AWKWARD, Detector(canvas=Canvas(height_px=96, width_px=128), micro_batch=4), images=10_049
    ),
    "adam": configuration(ADAM, Detector(canvas=Canvas(height_px=128, width_px=96)), images=400),
    "resnet18": configuration(
        Hyperparameters(batch_size=4),
        Detector(canvas=Canvas(height_px=64, width_px=96), backbone=BackboneName.RESNET18),
        images=640,
    ),
    "resnet101": configuration(
        Hyperparameters(batch_size=4),
        Detector(canvas=Canvas(height_px=64, width_px=64), backbone=BackboneName.RESNET101, weights="imagenet"),
        images=640,
    ),
    "coco": configuration(
        Hyperparameters(batch_size=4, lr_per_16=0.01),
        Detector(canvas=Canvas(height_px=64, width_px=96), weights="coco"),
        images=640,
    ),
}


def sample_datasets(folder: Path) -> tuple[Dataset, Dataset]:
    """Six and three images of the sample data, written into the folder."""
    write_sample(folder, train=6, validation=3)
    train, validation = (
        DataSource(format=DataFormat.COCO, images=folder / "images", annotations=folder / f"{name}.json")
        for name in ("train", "val")
    )
    loaded = load_dataset(train, classes=CLASSES)
    return loaded, load_dataset(validation, classes=CLASSES)


def expected_anchors(recipe: Recipe) -> np.ndarray:
    """All anchors [N, 4] of the canvas, yxyx, by the detector's own code."""
    ours = recipe.hyperparameters.anchors
    cells, _ = cell_anchors(ours, ours.per_cell, recipe.geometry)
    return np.asarray(grid_anchors(cells, recipe.configuration.detector.canvas))


def telling_iterations(recipe: Recipe) -> list[int]:
    """The iterations around which rates change: the first, the end of the warm-up, each milestone, the last."""
    warmup = recipe.whole_warmup_iterations
    around = [0, warmup, *recipe.milestones]
    every = {i + by for i in around for by in (-1, 0, 1)} | {0, warmup // 2, recipe.iterations - 1}
    return sorted(i for i in every if 0 <= i < recipe.iterations)


def write_expected(recipe: Recipe, folder: Path) -> None:
    """expected.npz and facts.json, as tests/support/check_exports/judge.py reads them."""
    canvas, iterations = recipe.configuration.detector.canvas, telling_iterations(recipe)
    peak = recipe.hyperparameters.learning_rate
    np.savez(
        folder / "expected.npz",
        anchors=expected_anchors(recipe),
        iterations=np.array(iterations),
        rates=np.array([recipe.rate(i) / peak for i in iterations]),
    )
    facts = {
        "levels": level_sizes(canvas),
        "canvas": (canvas.height_px, canvas.width_px),
        "peak": peak,
        "classes": recipe.configuration.classes,
        "rpn_lr_factor": recipe.hyperparameters.rpn_lr_factor,
        "warmup_error": recipe.warmup_error,
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
