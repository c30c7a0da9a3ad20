"""`export --weights`: files of weights for other frameworks."""

import json
import pickle
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from detector.config import Anchors, BackboneName, Canvas, ConfigError, Hyperparameters, StepShape
from detector.geometry import KERAS, TORCHVISION, Geometry
from search.command_line import main
from search.export.weight_formats import WEIGHT_FORMATS, export_weights
from tests.support.foreign_files import detectron2_detector, our_values

TWO_SIZES = Anchors(sizes_px=((8.0, 16.0),) * 5)
R18 = BackboneName.RESNET18


def ours(folder: Path, geometry: Geometry = KERAS, *, backbone: BackboneName = R18, **values: Any) -> Path:
    """A file such as `train` leaves, of narrow layers."""
    shape = StepShape(
        canvas=Canvas(height_px=64, width_px=64), micro_batch=1, anchors_per_cell=6, boxes_per_image=2, classes=3,
        backbone=backbone, geometry=geometry,
    )  # fmt: skip
    said = {
        "shape": asdict(shape),
        "hyperparameters": asdict(replace(Hyperparameters(), anchors=TWO_SIZES)),
        "classes": ["cat", "dog", "cow"],
    }
    path = folder / "weights.safetensors"
    save_file(our_values(backbone, **values), path, {key: json.dumps(value) for key, value in said.items()})
    return path


def test_detectron2_gets_plain_arrays_with_an_author_and_the_line_says_what_to_set(tmp_path: Path) -> None:
    line = export_weights(ours(tmp_path), tmp_path / "out" / "w.pkl", format="detectron2")
    content = pickle.loads((tmp_path / "out" / "w.pkl").read_bytes())
    assert content["__author__"] == "frcnn-search"
    weight = content["model"]["backbone.bottom_up.res3.0.shortcut.weight"]
    assert (type(weight), weight.shape) == (np.ndarray, (2, 2, 3, 1))
    assert content["model"]["roi_heads.box_predictor.cls_score.bias"].shape == (4,)
    for setting in (
        "MODEL.RESNETS.DEPTH 18",
        "MODEL.RESNETS.RES2_OUT_CHANNELS 64",
        "STRIDE_IN_1X1 True",
        "INPUT.FORMAT BGR",
        "PIXEL_MEAN [103.939, 116.779, 123.68]",
        "PIXEL_STD [1, 1, 1]",
        "OFFSET 0.5",
        "POOLER_TYPE ROIAlignV2",
    ):
        assert setting in line


def test_torchvision_gets_anchors_by_ratio_only_where_its_own_anchors_are_meant(tmp_path: Path) -> None:
    bias = our_values(R18)["rpn_logits/bias"]
    name = "rpn.head.cls_logits.bias"
    line = export_weights(ours(tmp_path), tmp_path / "own.safetensors", format="torchvision")
    np.testing.assert_array_equal(load_file(tmp_path / "own.safetensors")[name], bias)
    assert "anchors from 0.5 of a cell, not rounded, RoIAlign aligned=True" in line

    stock = replace(TORCHVISION, anchor_offset=0.0, rounded_anchors=True, aligned_rois=False)
    line = export_weights(ours(tmp_path, stock), tmp_path / "stock.safetensors", format="torchvision")
    np.testing.assert_array_equal(load_file(tmp_path / "stock.safetensors")[name], bias[[0, 3, 1, 4, 2, 5]])
    assert "RoIAlign" not in line


def test_pytorch_writes_its_own_kind_of_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(values: dict[str, np.ndarray], path: Path) -> None:
        path.write_text(" ".join(sorted(values)))

    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(save=save, from_numpy=lambda array: array))
    export_weights(ours(tmp_path), tmp_path / "w.pth", format="torchvision")
    assert "backbone.body.layer1.0.bn1.bias" in (tmp_path / "w.pth").read_text().split()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=r"needs the extra `torch`"):
        export_weights(ours(tmp_path), tmp_path / "other.pth", format="torchvision")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.pth", "weights.safetensors"]


@pytest.mark.parametrize("format", ["torchvision", "detectron2"])
def test_what_is_no_detector_of_ours_or_would_replace_a_file_is_refused(tmp_path: Path, format: str) -> None:
    output = tmp_path / ("w.pkl" if format == "detectron2" else "w.safetensors")
    with pytest.raises(ConfigError, match=r"must end in \.(safetensors|pkl)"):
        export_weights(ours(tmp_path), tmp_path / "w.txt", format=format)
    with pytest.raises(ConfigError, match=r"no whole detector of ours but Detectron2's"):
        export_weights(detectron2_detector(tmp_path / "d2.pkl"), output, format=format)
    with pytest.raises(ConfigError, match=r"is no whole detector of ours"):
        export_weights(ours(tmp_path, heads=False), output, format=format)
    output.write_text("mine")
    with pytest.raises(ConfigError, match=r"is there already"):
        export_weights(ours(tmp_path), output, format=format)
    assert output.read_text() == "mine"


def test_a_format_that_there_is_not_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"must be one of {', '.join(WEIGHT_FORMATS)}, but is 'caffe'"):
        export_weights(ours(tmp_path), tmp_path / "w", format="caffe")


def test_the_command_needs_format_source_and_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["frcnn-search", "export", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        return int(exit_.value.code or 0)

    source, output = str(ours(tmp_path)), tmp_path / "w.pkl"
    assert run("--weights", "detectron2", "--output", str(output)) == 2
    assert "weights need --weights, --from and --output" in capsys.readouterr().err
    assert run("--weights", "detectron2", "--from", source, "--output", str(output)) == 0
    assert capsys.readouterr().out.startswith(f"wrote {output}")
