"""Exported models find what `predict` finds, without this package, and say what their numbers mean."""

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from benchmarks.parts.drawn_detector import CLASSES, write_drawn_detector
from detector.config import BackboneName, Canvas, ConfigError, Detector
from detector.data.dataset import unannotated
from detector.data.image_file import read_rgb
from detector.data.metrics.average_precision import Detections
from search.export.weight_formats import WEIGHT_FORMATS, export_weights
from search.export.weights_file import facts_of, open_detector

CANVAS = Canvas(height_px=96, width_px=128)
FLOAT32 = 1e-5  # of a coordinate: in a picture many times as large as the canvas, rounding is as much larger
IMAGES = 50
Found = dict[str, np.ndarray]
Model = Callable[[np.ndarray], Found]  # of a picture [h, w, 3]

#: Height, width and Pillow's mode, where the model may trip; the rest are drawn.
EDGES = (
    (1, 1, "RGB"),
    (1, 400, "RGB"),  # a line
    (400, 1, "RGB"),
    (96, 128, "RGB"),  # the canvas itself
    (900, 200, "RGB"),  # tall, reduced in both steps
    (383, 511, "RGB"),  # just below a factor of 4
    (200, 300, "L"),
    (150, 90, "RGBA"),  # lies over the padding colour
    (120, 200, "P"),
    (64, 80, "CMYK"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


@pytest.fixture(
    scope="module", params=[BackboneName.RESNET18, pytest.param(BackboneName.RESNET50, marks=pytest.mark.slow)]
)
def weights(request: pytest.FixtureRequest, folder: Path) -> Path:
    path = folder / f"{request.param}.safetensors"
    write_drawn_detector(path, Detector(canvas=CANVAS, backbone=request.param), seed=3)
    return path


@pytest.fixture(scope="module")
def pictures(folder: Path) -> list[Path]:
    """Blurred noise of many sizes, upright and lying, as PNG, and as JPEG below four times the canvas."""
    (folder / "pictures").mkdir()
    random = np.random.default_rng(5)
    sizes = [*EDGES, *((*random.integers(2, 380, 2).tolist(), "RGB") for _ in range(IMAGES - len(EDGES)))]
    paths = []
    for number, (height, width, mode) in enumerate(sizes):
        small = random.integers(0, 256, (max(1, height // 9), max(1, width // 9), 4), dtype=np.uint8)
        blurred = Pillow.fromarray(small, "RGBA" if mode == "RGBA" else None).resize((width, height))
        suffix = ".jpg" if mode == "CMYK" or (number % 4 == 3 and mode == "RGB") else ".png"
        paths.append(folder / "pictures" / f"{number:02d}{suffix}")
        (blurred if mode == "RGBA" else blurred.convert("RGB").convert(mode)).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def expected(weights: Path, pictures: list[Path]) -> list[Detections]:
    """What `predict` finds."""
    found = list(open_detector(weights).detect([unannotated(path, n) for n, path in enumerate(pictures, start=1)]))
    assert sum(len(each.scores) for each in found) > 1000
    assert {label for each in found for label in each.labels.tolist()} == set(range(len(CLASSES)))
    return found


@pytest.fixture(scope="module")
def saved_model(weights: Path) -> Path:
    export_weights(weights, weights.with_suffix(""), format="savedmodel")
    return weights.with_suffix("")


@pytest.fixture(scope="module")
def onnx_file(weights: Path) -> Path:
    pytest.importorskip("tf2onnx", reason="the extra `onnx` is not installed")
    pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    wanted = ("--weights", "onnx", "--from", str(weights), "--output", str(weights.with_suffix(".onnx")))
    command = (sys.executable, "-P", "-m", "search.command_line", "export", *wanted)
    done = subprocess.run(
        command, capture_output=True, text=True
    )  # gigabytes that only the end of a process gives back
    assert done.returncode == 0, done.stderr
    return weights.with_suffix(".onnx")


def assert_finds_the_same(model: Model, pictures: list[Path], expected: list[Detections]) -> None:
    for path, theirs in zip(pictures, expected, strict=True):
        image = unannotated(path, 1)
        mine = model(read_rgb(path, height_px=image.height_px, width_px=image.width_px))
        order = matching(mine, theirs)
        assert sorted(order) == list(range(len(mine["labels"]))), path.name
        assert (np.diff(mine["scores"]) <= 0).all()
        assert mine["labels"][order].tolist() == theirs.labels.tolist(), path.name
        found, boxes = mine["boxes"][order], theirs.boxes[:, [1, 0, 3, 2]]
        np.testing.assert_allclose(found, boxes, rtol=FLOAT32, atol=1e-3, err_msg=path.name)
        np.testing.assert_allclose(mine["scores"][order], theirs.scores, rtol=0, atol=1e-4, err_msg=path.name)


def matching(mine: Found, theirs: Detections) -> list[int]:
    """Which of mine each of theirs is: the nearest box of its class. Scores that tie but for rounding may swap."""
    other_class = mine["labels"][None, :] != theirs.labels[:, None]  # [theirs, mine]
    distances = np.abs(theirs.boxes[:, None, [1, 0, 3, 2]] - mine["boxes"][None]).max(axis=-1)
    return np.argmin(distances + 1e6 * other_class, axis=1).tolist() if mine["labels"].size else []


def test_a_saved_model_finds_what_predict_finds(
    saved_model: Path, pictures: list[Path], expected: list[Detections]
) -> None:
    import tensorflow as tf

    detect = tf.saved_model.load(str(saved_model)).signatures["serving_default"]

    def model(picture: np.ndarray) -> Found:
        return {name: value.numpy() for name, value in detect(image=tf.constant(picture)).items()}

    assert_finds_the_same(model, pictures, expected)


def test_a_model_that_finds_nothing_says_so_in_the_same_shapes(weights: Path) -> None:
    from detector.training.graphs.detection_graph import DetectionGraph

    facts = facts_of(weights)
    certain = replace(facts, hyperparameters=replace(facts.hyperparameters, score_threshold=1.0))
    graph = DetectionGraph(certain, weights)
    found = graph.detect(np.zeros((40, 30, 3), np.uint8))
    assert {name: value.shape for name, value in found.items()} == {"boxes": (0, 4), "scores": (0,), "labels": (0,)}


def test_a_large_photograph_is_to_be_decoded_as_predict_does(saved_model: Path, weights: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    noise = np.random.default_rng(2).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Pillow.fromarray(noise).resize((1024, 768)).save(tmp_path / "photograph.jpg")  # eight times the canvas
    (theirs,) = open_detector(weights).detect([unannotated(tmp_path / "photograph.jpg", 1)])
    with Pillow.open(tmp_path / "photograph.jpg") as photograph:
        photograph.draft(None, (2 * CANVAS.width_px, 2 * CANVAS.height_px))
        assert photograph.size == (256, 192)
        model = tf.saved_model.load(str(saved_model))  # its function holds it weakly
        found = model.detect(np.asarray(photograph))
    mine = {name: value.numpy() for name, value in found.items()}
    mine["boxes"] = mine["boxes"] * 4
    order = matching(mine, theirs)
    assert sorted(order) == list(range(len(theirs.scores)))
    assert len(order) > 10
    np.testing.assert_allclose(mine["boxes"][order], theirs.boxes[:, [1, 0, 3, 2]], rtol=0, atol=4e-3)
    np.testing.assert_allclose(mine["scores"][order], theirs.scores, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # the conversion is a minute or two on a free core
def test_an_onnx_file_finds_what_predict_finds(
    onnx_file: Path, pictures: list[Path], expected: list[Detections]
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert_finds_the_same(
        lambda picture: dict(zip(names, session.run(None, {"image": picture}), strict=True)), pictures, expected
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_onnx_file_has_standard_operators_and_says_what_it_is(onnx_file: Path) -> None:
    import onnx

    model = onnx.load(str(onnx_file))
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    assert [value.name for value in model.graph.input] == ["image"]
    assert {value.name for value in model.graph.output} == {"boxes", "scores", "labels"}
    stated = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert stated["classes"] == list(CLASSES)
    assert stated["canvas_px"] == {"height": 96, "width": 128}


def test_a_saved_model_says_what_it_is(saved_model: Path) -> None:
    stated = json.loads((saved_model / "assets" / "detector.json").read_text())
    assert stated["classes"] == list(CLASSES)
    assert stated["score_threshold"] == 0.02


ALONE = """
import sys
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
given = dict(np.load(sys.argv[2]))
found = model({name: given[name] for name in ("images", "pooled")})
for name, values in found.items():
    np.testing.assert_allclose(values, given[name], rtol=1e-4, atol=1e-4 * np.abs(given[name]).max(), err_msg=name)
assert not {"detector", "search"} & set(sys.modules)
print(len(found))
"""


@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=pytest.mark.slow)])
def test_keras_alone_opens_the_layers_and_they_compute_what_ours_do(
    weights: Path, tmp_path: Path, backend: str
) -> None:
    from detector.backend import to_device
    from detector.training.graphs.detection_graph import network_of

    export_weights(weights, tmp_path / "model.keras", format="keras")
    facts = facts_of(weights)
    network, random = network_of(facts.shape, weights), np.random.default_rng(0)
    images = random.integers(0, 256, (2, 96, 128, 3)).astype(np.float32)
    pooled = random.normal(size=(5, 7 * 7 * 256)).astype(np.float32)
    levels = network.pyramid(network.backbone(network.kind.preprocess(to_device(images))))
    outputs = {f"p{level}": features for level, features in enumerate(levels, start=2)}
    for level, features in enumerate(levels, start=2):
        outputs[f"rpn_logits_p{level}"], outputs[f"rpn_deltas_p{level}"] = network.rpn(features)
    outputs["class_logits"], outputs["box_deltas"] = network.box_head(to_device(pooled))
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    np.savez(tmp_path / "given.npz", images=images, pooled=pooled, **arrays)
    done = subprocess.run(
        [sys.executable, "-P", "-c", ALONE, str(tmp_path / "model.keras"), str(tmp_path / "given.npz")],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 17  # three for each of five levels, and the box head's two
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert json.loads(archive.read("detector.json"))["classes"] == list(CLASSES)


def test_what_cannot_be_written_is_said(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"must be one of .*keras, but is 'tflite'"):
        export_weights(weights, tmp_path / "model", format="tflite")
    (tmp_path / "mine.onnx").write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        export_weights(weights, tmp_path / "mine.onnx", format="onnx")
    assert (tmp_path / "mine.onnx").read_text() == "mine"
    for format in WEIGHT_FORMATS:
        output = tmp_path / {"torchvision": "new.safetensors", "detectron2": "new.pkl"}.get(format, "new")
        with pytest.raises(ConfigError, match="there is no such file"):
            export_weights(tmp_path / "absent", output, format=format)
    (tmp_path / "file").write_text("")
    for format in ("savedmodel", "keras"):
        with pytest.raises(ConfigError, match="cannot be written"):
            export_weights(weights, tmp_path / "file" / "model", format=format)
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    if importlib.util.find_spec("onnx") is None:
        monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"^--weights onnx needs .*: pip install tf2onnx onnx$"):
        export_weights(weights, tmp_path / "model.onnx", format="onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine.onnx"]
