"""Files that fail, after what people report: the linter names the cause, and names it first."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector.config import Canvas
from search.doctor.diagnostic import Level
from search.imports.formats.detectron2 import read_detectron2
from search.imports.importing import Source, import_onto
from search.imports.lint.ground import Ground
from search.imports.lint.lint import lint
from search.imports.trial_zero import trial_zero
from search.imports.wish import Wish
from spaces.anchor_fit import CanvasBoxes

FAILING = Path(__file__).parent / "failing"

#: file → the finding that must come first, its level, and what of their own words stands in it
CAUSES = {
    "eight_gpus.yaml": ("rate-for-more-gpus", Level.ERROR, "SOLVER.BASE_LR is 0.02 for batches of 2 images"),
    "rate_for_eight.py": ("rate-for-more-gpus", Level.ERROR, "optim_wrapper.optimizer.lr is 0.02"),
    "momentum_for_64.config": ("rate-for-more-gpus", Level.ERROR, "16 times what the linear rule gives"),
    "no_names.py": ("class-names-missing", Level.ERROR, "train_dataloader.dataset.metainfo.classes"),
    "background_forgotten.json": ("class-count", Level.ERROR, "the background was forgotten?"),
    "means_reversed.py": ("channel-order", Level.ERROR, "bgr_to_rgb gives the backbone BGR"),
    "unit_means.yaml": ("pixel-scale", Level.ERROR, "MODEL.PIXEL_MEAN"),
    "training_norm.py": ("norm-of-few-images", Level.ERROR, "model.backbone.norm_eval"),
    "one_list.yaml": ("sizes-on-every-level", Level.ERROR, "15 anchors a cell"),
    "endless_warmup.yaml": ("warmup-too-long", Level.ERROR, "1000 iterations, but training ends after 300"),
    "no_warmup.yaml": ("no-warmup", Level.WARNING, "SOLVER.WARMUP_ITERS"),
    "tiny_objects.yaml": ("anchors-miss", Level.WARNING, "32 to 512 px, but the boxes are"),
    "coco_schedule.yaml": ("schedule-too-long", Level.WARNING, "trainer.train_steps is 22500 iterations"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_of_a_reported_failure_is_named_first(train, name):
    findings = import_onto(Source(file=FAILING / name), train, canvas=None).findings
    first = findings[0]
    expected, level, words = CAUSES[name]
    assert (first.name, first.level) == (expected, level)
    assert words in first.message
    assert first.advice
    blamed = [each.name for each in findings if each.level is not Level.NOTE]
    assert blamed == [expected]  # and nothing else is


def test_every_failing_file_has_its_cause():
    assert {file.name for file in FAILING.iterdir() if file.is_file()} == set(CAUSES)
    assert len({Path(name).suffix for name in CAUSES}) == 4  # YAML of two frameworks


def test_a_finding_names_the_line(train):
    found = import_onto(Source(file=FAILING / "eight_gpus.yaml"), train, canvas=None).findings[0]
    line = int(found.examples[0].split(":")[0].removeprefix("line "))
    assert "BASE_LR" in (FAILING / "eight_gpus.yaml").read_text().splitlines()[line - 1]
    found = import_onto(Source(file=FAILING / "momentum_for_64.config"), train, canvas=None).findings[0]
    line = int(found.examples[0].split(":")[0].removeprefix("line "))
    assert "learning_rate: .08" in (FAILING / "momentum_for_64.config").read_text().splitlines()[line - 1]


def test_more_gpus_make_the_same_file_right(train):
    found = import_onto(Source(file=FAILING / "rate_for_eight.py", gpus=8), train, canvas=None)
    assert found.zero.hyperparameters.batch_size == 16
    assert [each.name for each in found.findings if each.level is Level.ERROR] == []


BASE = read_detectron2(
    "_BASE_: Base-RCNN-FPN.yaml\nMODEL:\n  ROI_HEADS: {NUM_CLASSES: 1}\n  WEIGHTS: R-50.pkl\n",
    Path("base.yaml"), gpus=1, images=40_000,
)  # fmt: skip


def boxes(height_px: float, width_px: float) -> CanvasBoxes:
    """A hundred boxes of that size along the diagonal of a canvas of 512 px."""
    corners = np.linspace(0, 512 - max(height_px, width_px), 100)
    return CanvasBoxes(
        canvas=Canvas(height_px=512, width_px=512),
        boxes=np.stack([corners, corners, corners + height_px, corners + width_px], axis=1),
        labels=np.zeros(100, np.int64),
        areas=np.full(100, height_px * width_px),
        images=np.arange(100),
        image_count=100,
        classes=("plate",),
    )


def names(data: CanvasBoxes, **wishes: object) -> dict[str, Level]:
    """What is found where the base's values are others."""
    imported = replace(BASE, **{name: Wish(value=value, key=name, line=1) for name, value in wishes.items()})
    zero = trial_zero(imported)
    ground = Ground(images=40_000, boxes=data, anchors=zero.hyperparameters.anchors)
    return {each.name: each.level for each in lint(imported, zero, ground) if each.level is not Level.NOTE}


def test_the_base_on_data_for_it_has_nothing_to_blame():
    assert names(boxes(100, 100)) == {}


def test_ratios_the_wrong_way_round_are_told_by_the_boxes():
    # Boxes of 24 × 96 px lie (h/w = 1/4). Ratios of 3 and 5 fit them only when turned.
    assert names(boxes(24, 96), ratios=(3.0, 5.0)) == {"ratios-turned": Level.ERROR}
    assert names(boxes(96, 24), ratios=(3.0, 5.0)) == {}


def test_symmetric_ratios_have_no_wrong_way_round():
    assert "ratios-turned" not in names(boxes(24, 96), ratios=(0.5, 1.0, 2.0))


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"rpn_negative_iou": 0.7, "rpn_positive_iou": 0.3}, {"thresholds-crossed": Level.ERROR}),
        ({"learning_rate": 0.0}, {"rate-zero": Level.ERROR}),
        ({"learning_rate": 1e-5}, {"rate-too-low": Level.WARNING}),
        ({"learning_rate": 0.04}, {"rate-for-more-gpus": Level.WARNING}),
        ({"milestones": (500.0, 80_000.0)}, {"drop-before-warmup-ends": Level.WARNING}),
        ({"milestones": (60_000.0, 95_000.0)}, {"drop-after-the-end": Level.WARNING}),
        ({"iterations": 2000.0, "milestones": (1500.0,), "warmup_iterations": 1100.0},
         {"warmup-too-long": Level.WARNING, "schedule-too-short": Level.WARNING}),
        ({"least_best_iou": 0.0}, {"every-anchor-positive": Level.WARNING}),
        ({"least_best_iou": 0.001}, {}),
        ({"weights": ""}, {"frozen-at-random": Level.ERROR}),
        ({"weights": "", "frozen_stages": 0}, {}),
        ({"norm_trains": True, "batch_size": 8, "learning_rate": 0.01}, {}),
        ({"norm_trains": True, "batch_size": 2, "learning_rate": 0.0025}, {"norm-of-few-images": Level.ERROR}),
        ({"classes": 0}, {"class-count": Level.ERROR}),
        ({"classes": 80}, {"class-count": Level.WARNING}),
        ({"class_names": ("plaet",)}, {"class-names": Level.ERROR}),
        ({"class_names": ("plate",)}, {}),
        ({"sizes_px": ((32.0,), (64.0,), (128.0,))}, {"sizes-of-other-levels": Level.ERROR}),
        ({"sizes_px": ((4.0,), (4.0,), (5.0,), (5.0,), (6.0,))}, {"anchors-miss": Level.ERROR}),
    ],
)  # fmt: skip
def test_each_fault_is_found_alone(wishes, expected):
    assert names(boxes(100, 100), **wishes) == expected


@pytest.mark.parametrize(
    ("mean", "std", "order", "weights", "expected"),
    [
        ((103.53, 116.28, 123.675), (1.0,) * 3, "BGR", "MSRA/R-50.pkl", None),
        ((103.53, 116.28, 123.675), (1.0,) * 3, "RGB", "MSRA/R-50.pkl", "channel-order"),
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "RGB", "torchvision/R-50.pkl", None),
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "BGR", "torchvision/R-50.pkl", "channel-order"),
        ((123.675, 116.28, 103.53), (1.0,) * 3, "RGB", "torchvision/R-50.pkl", "pixel-deviation"),
        ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395), "BGR", "MSRA/R-50.pkl", "pixel-deviation"),
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "RGB", "x", "pixel-scale"),
        ((97.0, 98.0, 99.0), (50.0,) * 3, "RGB", "mine.pth", None),  # somebody's own data
        ((0.0, 0.0, 0.0), (1.0,) * 3, "RGB", "mine.pth", None),
    ],
)
def test_pixels_reach_the_backbone_as_its_weights_expect_them_or_it_is_said(mean, std, order, weights, expected):
    assert BASE.pixels is not None
    pixels = replace(
        BASE.pixels,
        mean=Wish(value=mean, key="mean"),
        std=Wish(value=std, key="std"),
        order=Wish(value=order, key="order"),
    )
    imported = replace(BASE, pixels=pixels, weights=Wish(value=weights, key="weights"))
    zero = trial_zero(imported)
    ground = Ground(images=40_000, boxes=boxes(100, 100), anchors=zero.hyperparameters.anchors)
    found = [each.name for each in lint(imported, zero, ground) if each.level is not Level.NOTE]
    assert found == ([expected] if expected else [])


@pytest.mark.parametrize("iterations", [3, 40, 150, 1000, 90_000])
def test_the_warm_up_that_is_advised_is_none_that_is_blamed(train, tmp_path, iterations):
    own = (FAILING / "no_warmup.yaml").read_text().replace("MAX_ITER: 1000", f"MAX_ITER: {iterations}")
    (tmp_path / "short.yaml").write_text(own)
    found = {each.name: each for each in import_onto(Source(file=tmp_path / "short.yaml"), train, canvas=None).findings}
    mend = found["no-warmup"].mends[0]
    (tmp_path / "mended.yaml").write_text(own.replace("WARMUP_ITERS: 0", f"WARMUP_ITERS: {mend.value}"))
    after = {each.name for each in import_onto(Source(file=tmp_path / "mended.yaml"), train, canvas=None).findings}
    assert after.isdisjoint({"no-warmup", "warmup-too-long"})
