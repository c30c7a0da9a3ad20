"""What a full training starts from where `--weights` stands over the exported file."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from detector.config import Anchors, BackboneName, Canvas, ConfigError, Detector, Hyperparameters, StepShape
from search.export.configuration_file import Configuration, Provenance
from search.study.data_section import Data
from search.training.initial_weights import initial_weights
from tests.search.training.conftest import Run
from tests.support.foreign_files import detectron2_detector, our_values

CLASSES = ("disc", "square")
DETECTOR = Detector(canvas=Canvas(height_px=64, width_px=96))
CONFIGURATION = Configuration(
    hyperparameters=Hyperparameters(),
    detector=DETECTOR,
    classes=CLASSES,
    data=Data(folder=Path("data")),
    provenance=Provenance(
        study="s", trial=0, ap=0.5, images=8, budget_images=8, seed=0, code_version="0", dataset_fingerprint="f",
        exported_at="2026-01-01T00:00:00+00:00", anchor_slots=4,
    ),
)  # fmt: skip


def written(path: Path, **facts: Any) -> str:
    """A file of weights that says what `train` says of a detector, or something else."""
    shape = StepShape.for_detector(DETECTOR, anchors_per_cell=4, boxes_per_image=8, classes=2, micro_batch=1)
    said = {"shape": asdict(shape), "hyperparameters": asdict(Hyperparameters()), "classes": CLASSES, **facts}
    save_file(
        our_values(BackboneName.RESNET50, classes=2),
        path,
        {name: json.dumps(fact) for name, fact in said.items() if fact},
    )
    return str(path)


def test_a_detector_with_the_same_classes_and_anchors_per_cell_is_taken_over_whole(tmp_path: Path) -> None:
    file = written(tmp_path / "weights.safetensors")
    initial = initial_weights(CONFIGURATION, file)
    assert initial.whole
    assert initial.detector == replace(DETECTOR, weights=file, frozen_stages=0)  # as many as with none
    assert initial.line == (
        f"starts from the whole detector of {file}, heads included; no stage of the backbone is frozen"
    )


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"classes": ("square", "disc")}, "included, because its classes are square, disc, not disc, square"),
        (
            {"classes": ("square", "ring")},
            "included; rows of the classes disc are drawn by the seed, because its classes are square, ring, not disc, "
            "square",
        ),
        (
            {"hyperparameters": asdict(replace(Hyperparameters(), anchors=Anchors(ratios=(1.0,))))},
            "included; rows of the anchors are drawn by the seed, because it has 1 anchors per cell, not 3",
        ),
        (
            {
                "shape": asdict(
                    StepShape.for_detector(DETECTOR, anchors_per_cell=9, boxes_per_image=8, classes=2, micro_batch=1)
                )
            },
            "included, because its RPN has room for 9 anchors per cell, not 4",
        ),
    ],
)
def test_of_another_detector_all_is_taken_that_fits_and_the_line_says_what_does_not(
    tmp_path: Path, facts: dict[str, Any], why: str
) -> None:
    initial = initial_weights(CONFIGURATION, written(tmp_path / "weights.safetensors", **facts))
    assert not initial.whole
    assert initial.detector.stages_to_freeze == 2
    assert f"(frcnn-search), pyramid and heads {why}; 2 of 5 stages" in initial.line


@pytest.mark.parametrize("weights", ["imagenet", "backbone.h5", "backbone.safetensors"])
def test_of_a_backbone_the_backbone_is_taken(tmp_path: Path, weights: str) -> None:
    file = weights
    if weights != "imagenet":
        file = str(tmp_path / weights)
        save_file(our_values(BackboneName.RESNET50, heads=False), file)
    initial = initial_weights(CONFIGURATION, file)
    assert (initial.whole, initial.detector) == (False, replace(DETECTOR, weights=file))


def test_no_weights_are_weights_too() -> None:
    trained = replace(CONFIGURATION, detector=replace(DETECTOR, weights="imagenet"))
    assert initial_weights(trained, "none").detector == DETECTOR


def test_a_file_that_is_not_there_or_damaged_is_refused_before_anything_starts(
    configuration: Path, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    for name, told in (
        ("nowhere.h5", r"there is no file '.*nowhere\.h5'"),
        ("torn.safetensors", "is not a safetensors"),
    ):
        with pytest.raises(ConfigError, match=told):
            run(configuration, tmp_path / "out", weights=str(tmp_path / name))
    assert not (tmp_path / "out").exists()


def test_a_training_says_once_what_it_starts_from_and_other_weights_are_another_training(
    configuration: Path, tmp_path: Path, run: Run
) -> None:
    _, shown = run(configuration, tmp_path / "out", weights="imagenet")
    assert shown.startswith("starts from the backbone of imagenet; pyramid and heads are drawn by the seed; 2 of 5 ")
    assert "starts from" not in run(configuration, tmp_path / "out", weights="imagenet", images=1280)[1]
    with pytest.raises(ConfigError, match=r"another training \(another configuration\)"):
        run(configuration, tmp_path / "out")


def test_of_another_frameworks_detector_what_fits_is_taken(tmp_path: Path) -> None:
    file = detectron2_detector(tmp_path / "model_final.pkl")
    line = initial_weights(CONFIGURATION, str(file)).line
    assert line.startswith(f"starts from the detector of {file} (Detectron2), pyramid and heads included; rows of the ")
    assert "classes disc, square and rows of the anchors are drawn by the seed; 2 of 5 stages" in line
