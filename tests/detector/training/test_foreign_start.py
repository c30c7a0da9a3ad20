"""A training that starts from another framework's detector, and goes back to it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from detector.backend import to_host
from detector.config import BackboneName, Canvas, ConfigError, Detector, Hyperparameters
from detector.data.layout import find_sources
from detector.data.sample_data import write_sample
from detector.geometry import TORCHVISION
from detector.setup import Setup
from detector.training.trainer import WEIGHTS_FILE, Trainer
from detector.weight_files.found_weights import AnchorLayout, FoundWeights
from detector.weight_files.opening import open_weights
from detector.weight_files.statement import STATEMENT, Statement
from search.export.weight_formats import export_weights
from search.export.weights_file import open_detector
from tests.support.their_detector import GoldenCase
from trial.reports import RungReport

CASE = GoldenCase("resnet18")
GEOMETRY = replace(TORCHVISION, anchor_offset=0.0, rounded_anchors=True, aligned_rois=False)
SAID = Statement(
    geometry=GEOMETRY,
    backbone=BackboneName.RESNET18,
    classes=("square", "lion", "disc"),
    anchors=AnchorLayout(sizes=2, ratios=3),
    ratios_first=True,
)


def setup_of(folder: Path, weights: Path, backbone: BackboneName = BackboneName.RESNET18) -> Setup:
    write_sample(folder / "data", train=4, validation=2)
    train, validation = find_sources(folder / "data")
    canvas = Canvas(height_px=64, width_px=96)
    return Setup(
        train=train,
        validation=validation,
        validation_share=0.2,
        detector=Detector(canvas=canvas, backbone=backbone, weights=str(weights), roi_samples=16, proposals=64),
        anchors_per_cell=7,
        micro_batch=2,
        validation_images=None,
        cache=folder / "cache",
        seed=0,
    )


def test_a_trial_begins_with_torchvisions_detector_trains_and_goes_back_into_its_names(tmp_path: Path) -> None:
    file = tmp_path / "theirs.safetensors"
    save_file(CASE.state_dict(), file, {STATEMENT: SAID.text()})
    given, trainer = open_weights(file), Trainer(setup_of(tmp_path, file))
    assert trainer.shape.geometry == GEOMETRY
    settings = Hyperparameters(anchors=CASE.anchors, batch_size=2, lr_per_16=1e-4)
    trainer.begin(settings, seed=1, budget_images=2, directory=tmp_path / "trial", keep_weights=True)
    _assert_given(trainer, given)
    assert isinstance(trainer.advance(2, lambda _: None, lambda: False), RungReport)

    ours = tmp_path / "trial" / WEIGHTS_FILE
    found = open_weights(ours)
    assert (found.geometry, found.backbone, found.anchors) == (GEOMETRY, BackboneName.RESNET18, SAID.anchors)
    assert open_detector(ours).facts.shape.geometry == GEOMETRY
    for format, name in (("torchvision", "back.safetensors"), ("detectron2", "back.pkl")):
        assert "it means the same only with" in export_weights(ours, tmp_path / name, format=format)
        _assert_same(open_weights(tmp_path / name), found)


def _assert_given(trainer: Trainer, given: FoundWeights) -> None:
    state = trainer._running().state["weights"]
    values = {v.path: to_host(t) for v, t in zip(trainer._network.trainable, state, strict=True)}
    for path in ("conv4_block1_2_conv/kernel", "lateral3/kernel", "output5/bias", "rpn_conv/kernel", "fc1/kernel"):
        np.testing.assert_array_equal(values[path], given.values[path])
    assert trainer._classes == ("disc", "square", "triangle")
    bias, own = values["class_logits/bias"], given.values["class_logits/bias"]
    assert bias.tolist() == [own[2], own[0], 0, own[3]]  # a new class begins undecided
    assert values["rpn_logits/bias"].tolist() == [*given.values["rpn_logits/bias"], 0]


def _assert_same(back: FoundWeights, found: FoundWeights) -> None:
    """Bit for bit, but for slots of the RPN that no anchor uses."""
    assert (back.geometry, back.classes, back.anchors) == (found.geometry, found.classes, found.anchors)
    assert back.values.keys() == found.values.keys()
    for path, value in back.values.items():
        expected = found.values[path]
        if path.startswith(("rpn_logits", "rpn_deltas")):
            expected = expected[..., : value.shape[-1]]
        np.testing.assert_array_equal(value, expected, err_msg=path)


def test_another_depth_than_the_files_is_refused_with_the_one_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds a resnet18, but detector\.backbone is resnet34; change that"):
        Trainer(setup_of(tmp_path, CASE.file(tmp_path), BackboneName.RESNET34))
