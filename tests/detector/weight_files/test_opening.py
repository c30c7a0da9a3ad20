"""Whose a file of weights is, by what stands in it, and what that decides."""

import json
import pickle
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from detector.config import BackboneName, Canvas, ConfigError, Hyperparameters, StepShape
from detector.geometry import KERAS, MSRA, TORCHVISION, Pixels
from detector.weight_files import opening
from detector.weight_files.coco_names import BY_ID, IN_ORDER
from detector.weight_files.dialects import DETECTRON2
from detector.weight_files.dialects import TORCHVISION as TORCHVISION_NAMES
from detector.weight_files.found_weights import AnchorLayout, FileKind, FoundWeights
from detector.weight_files.opening import PICKLE, open_weights
from tests.support.foreign_files import (
    LAYOUT,
    WIDTH,
    detectron2_detector,
    detectron2_pickle,
    our_values,
    their_values,
)

R18 = BackboneName.RESNET18
CORNER = {"anchor_offset": 0.0}
STOCK = {"anchor_offset": 0.0, "rounded_anchors": True, "aligned_rois": False}


def torchvision_file(folder: Path, name: str = "w.safetensors", **given: Any) -> Path:
    save_file(their_values(TORCHVISION_NAMES, our_values(R18, **given), R18), folder / name)
    return folder / name


def assert_same_values(found: FoundWeights, ours: dict[str, np.ndarray]) -> None:
    assert found.values.keys() == ours.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(found.values[name], value, err_msg=name)


def test_a_whole_detector_of_torchvision_lays_anchors_into_the_corner_and_does_not_align_rois(tmp_path: Path) -> None:
    found = open_weights(torchvision_file(tmp_path))
    assert (found.kind, found.backbone, found.has_heads) == (FileKind.TORCHVISION, R18, True)
    assert found.geometry == replace(TORCHVISION, **STOCK)
    assert (found.anchors, found.classes) == (LAYOUT, None)
    assert_same_values(found, our_values(R18))


@pytest.mark.parametrize("backbone", BackboneName)
@pytest.mark.parametrize("body", ["", "body."])
def test_a_classifier_of_torchvision_is_a_backbone(tmp_path: Path, backbone: BackboneName, body: str) -> None:
    ours = our_values(backbone, heads=False)
    rest = {"fc.weight": np.ones((3, WIDTH), np.float32), f"{body}bn1.num_batches_tracked": np.zeros((), np.int64)}
    save_file(their_values(TORCHVISION_NAMES, ours, backbone, body=body) | rest, tmp_path / "w.safetensors")
    found = open_weights(tmp_path / "w.safetensors")
    assert (found.kind, found.backbone, found.has_heads) == (FileKind.TORCHVISION, backbone, False)
    assert found.geometry == TORCHVISION
    assert_same_values(found, ours)


def test_names_of_torchvision_before_0_13_are_read_too(tmp_path: Path) -> None:
    new = their_values(TORCHVISION_NAMES, our_values(R18), R18)
    renamed = {
        name.replace("rpn.head.conv.0.0.", "rpn.head.conv.").replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        if "fpn" in name or "rpn.head.conv" in name
        else name: value
        for name, value in new.items()
    }
    assert "backbone.fpn.inner_blocks.2.weight" in renamed
    assert "rpn.head.conv.weight" in renamed
    save_file(renamed, tmp_path / "w.safetensors")
    assert_same_values(open_weights(tmp_path / "w.safetensors"), our_values(R18))


def test_of_a_detector_with_other_heads_the_backbone_is_taken_and_it_is_said(tmp_path: Path) -> None:
    values = their_values(TORCHVISION_NAMES, our_values(R18), R18)
    del values["roi_heads.box_head.fc6.weight"]  # the second version has convolutions there
    save_file(values, tmp_path / "w.safetensors")
    found = open_weights(tmp_path / "w.safetensors")
    assert (found.has_heads, found.geometry) == (False, TORCHVISION)
    assert "no roi_heads.box_head.fc6.weight), so only its backbone is taken" in found.remark


def test_a_detector_of_detectron2_has_the_pixels_of_the_original_resnets(tmp_path: Path) -> None:
    found = open_weights(detectron2_detector(tmp_path / "model_final.pkl"))
    assert (found.kind, found.backbone) == (FileKind.DETECTRON2, R18)
    assert found.geometry == replace(MSRA, **CORNER)
    assert_same_values(found, our_values(R18))


def test_pixels_that_an_old_file_of_detectron2_carries_are_its_own(tmp_path: Path) -> None:
    values = their_values(DETECTRON2, our_values(R18), R18)
    mean = np.array([103.53, 116.28, 123.6], np.float32).reshape(3, 1, 1)
    path = detectron2_pickle(tmp_path / "w.pkl", values | {"pixel_mean": mean, "pixel_std": np.ones((3, 1, 1))})
    pixels = replace(MSRA.pixels, mean=(103.53, 116.28, 123.6))
    assert open_weights(path).geometry == replace(MSRA, pixels=pixels, **CORNER)
    deviating = values | {"pixel_mean": mean, "pixel_std": np.full((3, 1, 1), 58.0)}
    assert open_weights(detectron2_pickle(path, deviating)).geometry == replace(TORCHVISION, **CORNER)


def test_a_classifier_that_detectron2s_tool_converted_is_torchvisions(tmp_path: Path) -> None:
    ours = our_values(BackboneName.RESNET50, heads=False)
    model = their_values(DETECTRON2, ours, BackboneName.RESNET50, body="")
    path = tmp_path / "r50.pkl"
    path.write_bytes(pickle.dumps({"model": model, "__author__": "torchvision", "matching_heuristics": True}))
    found = open_weights(path)
    assert (found.kind, found.geometry, found.backbone) == (FileKind.DETECTRON2, TORCHVISION, BackboneName.RESNET50)


def test_names_of_the_first_detectron_are_read_and_norms_without_statistics_change_nothing_else(tmp_path: Path) -> None:
    theirs = their_values(DETECTRON2, our_values(BackboneName.RESNET50, heads=False), BackboneName.RESNET50, body="")
    parts = {"conv1": "branch2a", "conv2": "branch2b", "conv3": "branch2c", "shortcut": "branch1"}
    old = {"fc1000_w": np.ones(3, np.float32), "conv1_w_momentum": np.ones(3, np.float32)}
    for name, value in theirs.items():
        place, *_, end = name.split(".")
        if "running" in name:
            continue
        kind = {"weight": "bn_s", "bias": "bn_b"}[end] if ".norm." in name else "w"
        if place == "stem":
            old["conv1_w" if kind == "w" else f"res_conv1_{kind}"] = value
        else:
            _, block, part, *_ = name.split(".")
            old[f"{place}_{block}_{parts[part]}_{kind}"] = value
    (tmp_path / "R-50.pkl").write_bytes(pickle.dumps(old, 2))
    found = open_weights(tmp_path / "R-50.pkl")
    assert (found.geometry, found.backbone) == (MSRA, BackboneName.RESNET50)
    kernel, weight = found.values["conv3_block1_0_conv/kernel"], theirs["res3.0.shortcut.weight"]
    np.testing.assert_array_equal(kernel[2, 0], weight[:, :, 2, 0].T)
    # γ · (x − 0) / √(variance + ε) + β with variance + ε = 1 is γ · x + β
    np.testing.assert_array_equal(found.values["conv1_bn/moving_mean"], [0, 0])
    assert found.values["conv1_bn/moving_variance"] + MSRA.norm_epsilon == pytest.approx([1, 1], abs=1e-7)


@pytest.mark.parametrize(("classes", "names"), [(90, BY_ID), (80, IN_ORDER), (3, None)])
def test_classes_of_coco_are_known_by_their_number(tmp_path: Path, classes: int, names: tuple[str, ...] | None) -> None:
    assert open_weights(torchvision_file(tmp_path, classes=classes)).classes == names
    assert (len(BY_ID), len(IN_ORDER), BY_ID[17 - 1], IN_ORDER[15], BY_ID[-1]) == (90, 80, "cat", "cat", "toothbrush")


def test_anchors_that_are_not_three_ratios_of_some_sizes_are_unknown_and_their_rows_not_taken(tmp_path: Path) -> None:
    values = their_values(DETECTRON2, our_values(R18), R18)
    head = "proposal_generator.rpn_head."
    for name, width in (("objectness_logits", 1), ("anchor_deltas", 4)):
        for part in ("weight", "bias"):
            values[f"{head}{name}.{part}"] = values[f"{head}{name}.{part}"][: 4 * width]
    found = open_weights(detectron2_pickle(tmp_path / "w.pkl", values))
    assert found.anchors is None
    assert {"rpn_logits/kernel", "rpn_deltas/bias"}.isdisjoint(found.values)
    assert "rpn_conv/kernel" in found.values


def test_our_own_file_says_its_geometry_classes_and_anchors(tmp_path: Path) -> None:
    geometry = replace(TORCHVISION, pixels=Pixels(order=TORCHVISION.pixels.order, mean=(1, 2, 3)))
    shape = StepShape(
        canvas=Canvas(height_px=64, width_px=64), micro_batch=1, anchors_per_cell=6, boxes_per_image=2, classes=2,
        backbone=R18, geometry=geometry,
    )  # fmt: skip
    said = {"shape": asdict(shape), "hyperparameters": asdict(Hyperparameters()), "classes": ["cat", "dog"]}
    values = our_values(R18, classes=2)
    save_file(values, tmp_path / "w.safetensors", {key: json.dumps(value) for key, value in said.items()})
    found = open_weights(tmp_path / "w.safetensors")
    assert (found.kind, found.geometry, found.backbone) == (FileKind.OURS, geometry, R18)
    assert (found.classes, found.anchors) == (("cat", "dog"), AnchorLayout(sizes=1, ratios=3))

    del said["shape"]["geometry"]  # as before there was more than one
    save_file(values, tmp_path / "w.safetensors", {key: json.dumps(value) for key, value in said.items()})
    assert open_weights(tmp_path / "w.safetensors").geometry == KERAS
    save_file(values, tmp_path / "w.safetensors", {key: json.dumps([]) for key in said})
    with pytest.raises(ConfigError, match=r"what it says of its detector is damaged, or another version wrote it"):
        open_weights(tmp_path / "w.safetensors")


REFUSED = {
    "of no framework": ({"encoder.weight": np.ones(2, np.float32)}, "names are neither torchvision's nor Detectron2's"),
    "of another depth": (
        {
            f"layer{layer}.{block}.conv{number}.weight": np.ones((2, 2, 1, 1), np.float32)
            for layer, count in ((1, 3), (2, 8), (3, 36), (4, 3))
            for block in range(count)
            for number in (1, 2, 3)
        },
        r"has \[3, 8, 36, 3\] bottleneck blocks, as none of resnet18, ",
    ),
    "a part of one": (
        {
            key: value
            for key, value in their_values(TORCHVISION_NAMES, our_values(R18), R18).items()
            if "bn1.bias" not in key
        },
        r"w\.safetensors: it lacks backbone\.body\.bn1\.bias",
    ),
    "of shapes that no network has": (
        their_values(TORCHVISION_NAMES, our_values(R18), R18)
        | {"roi_heads.box_head.fc6.weight": np.ones((2, 5), np.float32)},
        "does not hold the weights that its names promise",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("values", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_such_network_is_refused(tmp_path: Path, values: dict[str, np.ndarray], told: str) -> None:
    save_file(values, tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match=told):
        open_weights(tmp_path / "w.safetensors")


def test_a_file_of_nothing_that_is_known_is_refused_with_what_is(tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"\x08\x07")
    with pytest.raises(ConfigError, match=r"known: \.safetensors, \.h5 of keras"):
        open_weights(tmp_path / "w.onnx")
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"model": {}, "__author__": "x"}))
    with pytest.raises(ConfigError, match=r"w\.pkl: it holds no arrays"):
        open_weights(tmp_path / "w.pkl")


class FakeTensor:
    """As much of PyTorch's as is asked for."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def detach(self) -> "FakeTensor":
        return self

    def to(self, _: str) -> "FakeTensor":
        return self

    def float(self) -> "FakeTensor":
        return FakeTensor(self.values.astype(np.float32))

    def numpy(self) -> np.ndarray:
        return self.values


def fake_torch(loaded: Any) -> Any:
    def load(path: Path, *, map_location: str, weights_only: bool) -> Any:
        assert (map_location, weights_only) == ("cpu", True)
        if isinstance(loaded, Exception):
            raise loaded
        return loaded

    return SimpleNamespace(Tensor=FakeTensor, load=load)


def test_a_header_whose_length_begins_with_the_byte_of_a_pickle_is_read_as_what_it_is(tmp_path: Path) -> None:
    path, said = tmp_path / "w.safetensors", "said "
    while not path.exists() or path.read_bytes()[:1] != PICKLE:  # a header's length is a multiple of 8
        save_file(our_values(R18), path, {"format": said})
        said += "and said "
    assert_same_values(open_weights(path), our_values(R18))


@pytest.mark.parametrize("start", [b"PK\x03\x04", pickle.dumps(0x1950A86A20F9469CFC6C, 2)], ids=["new", "old"])
def test_a_file_of_pytorch_is_read_by_pytorch_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    (tmp_path / "w.bin").write_bytes(start)
    tensors = {f"module.{k}": FakeTensor(v) for k, v in their_values(TORCHVISION_NAMES, our_values(R18), R18).items()}
    monkeypatch.setitem(sys.modules, "torch", fake_torch({"model": tensors, "optimizer": {}, "epoch": 3}))
    assert_same_values(open_weights(tmp_path / "w.bin"), our_values(R18))

    monkeypatch.setitem(sys.modules, "torch", fake_torch(RuntimeError("Weights only load failed\nmore")))
    with pytest.raises(ConfigError, match=r"reads without running it: Weights only load failed$"):
        open_weights(tmp_path / "w.bin")

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=r"needs the extra `torch`: install frcnn-search\[torch\]"):
        open_weights(tmp_path / "w.bin")


def test_torchvisions_own_file_is_known_by_its_digest_and_adds_nothing_to_variances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w.pth").write_bytes(b"PK\x03\x04")
    tensors = {name: FakeTensor(v) for name, v in their_values(TORCHVISION_NAMES, our_values(R18), R18).items()}
    monkeypatch.setitem(sys.modules, "torch", fake_torch(tensors))
    assert open_weights(tmp_path / "w.pth").geometry.norm_epsilon == 1e-5
    monkeypatch.setattr(opening, "NO_EPSILON", {opening.digest(tmp_path / "w.pth"): 0.0})
    assert open_weights(tmp_path / "w.pth").geometry == replace(TORCHVISION, norm_epsilon=0.0, **STOCK)
