"""What a training leaves behind, and begins from."""

import hashlib
import json
import pickle
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from safetensors.numpy import save

from detector.config import BackboneName
from detector.geometry import KERAS
from detector.training import checkpoint as checkpoints
from detector.weight_files.dialects import DETECTRON2, TORCHVISION
from detector.weight_files.opening import open_weights
from detector.weight_files.statement import STATEMENT, Statement
from search.training.record import EVALUATIONS_FILE, TrainingRecord
from tests.support.foreign_files import LAYOUT, detectron2_detector, our_values, their_values
from tests.support.fuzz.target import Target, written


def _checkpoint_seeds(folder: Path) -> list[bytes]:
    arrays = {"weights/a": np.zeros((3, 2), np.float32), "first_bad": np.zeros((), np.int32)}
    made = checkpoints.save_checkpoint(folder, checkpoints.Checkpoint(arrays=arrays, images=80, step=10))
    return [(made / checkpoints.STATE).read_bytes(), (made / checkpoints.MANIFEST).read_bytes()]


def _read_checkpoint(content: bytes, folder: Path) -> None:
    """State or manifest are altered; in one half of the cases the digest is made to fit."""
    place = folder / "checkpoint-00000080"
    is_manifest = b'"sha256"' in content[:400] or (content[:1] != b"\0" and len(content) % 2 == 0)
    before = {name: (place / name).read_bytes() for name in (checkpoints.STATE, checkpoints.MANIFEST)}
    try:
        written(place / (checkpoints.MANIFEST if is_manifest else checkpoints.STATE), content)
        if hashlib.sha256(content).digest()[0] % 2:
            _seal(place)
        found = checkpoints.newest_checkpoint(folder)
        assert found is None or min(found.images, found.step) >= 0
    finally:
        for name, whole in before.items():
            (place / name).write_bytes(whole)


def _seal(place: Path) -> None:
    try:
        manifest = json.loads((place / checkpoints.MANIFEST).read_bytes())
        digest = hashlib.sha256((place / checkpoints.STATE).read_bytes())
        digest.update(f"{manifest['images']} {manifest['step']}".encode())
        (place / checkpoints.MANIFEST).write_text(json.dumps({**manifest, "sha256": digest.hexdigest()}))
    except (ValueError, KeyError, TypeError, RecursionError):
        pass


@cache
def _network() -> Any:
    """What `detector.network.weights` fills: a backbone of two layers in place of a ResNet's 106."""
    import keras

    pixels = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(4, 3, name="conv1")(pixels)
    backbone = keras.Model(pixels, [keras.layers.BatchNormalization(name="bn1")(features)])
    return SimpleNamespace(
        backbone=backbone,
        trainable=backbone.trainable_variables,
        frozen=backbone.non_trainable_variables,
        kind=SimpleNamespace(name="tiny"),
    )


def _single() -> Any:
    """The same layers as a model with one output."""
    import keras

    return keras.Model(_network().backbone.input, _network().backbone.outputs[-1])


def _weights_seeds(folder: Path) -> list[bytes]:
    values = {variable.path: np.full(variable.shape, 0.5, np.float32) for variable in _network().backbone.variables}
    for variable in _network().backbone.variables:
        variable.assign(np.full(variable.shape, 0.5, np.float32))
    _single().save_weights(folder / "new.weights.h5")
    return [save(values), (folder / "new.weights.h5").read_bytes(), _legacy(folder / "old.h5")]


def _legacy(path: Path) -> bytes:
    """The layout of the files that keras.applications downloads."""
    import h5py

    with h5py.File(path, "w") as file:
        layers = [layer for layer in _network().backbone.layers if layer.weights]
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = [variable.name.encode() for variable in layer.weights]
            for variable in layer.weights:
                group[variable.name] = np.full(variable.shape, 0.5, np.float32)
    return path.read_bytes()


def _read_weights(content: bytes, folder: Path) -> None:
    from detector.network.weights import load_backbone

    kinds = {".safetensors": b"HDF" not in content[:64], ".weights.h5": b"vars" in content, ".h5": True}
    suffix = next(suffix for suffix, fits in kinds.items() if fits)
    load_backbone(_network(), str(written(folder / f"w{suffix}", content)))


def _evaluations_seeds(_: Path) -> list[bytes]:
    return [json.dumps({"80": {"ap": 0.1}, "160": {"ap": 0.2, "ap/cat": 0.1}}).encode()]


def _read_evaluations(content: bytes, folder: Path) -> None:
    written(folder / EVALUATIONS_FILE, content)
    TrainingRecord(folder, show=lambda _: None).reported()


def _foreign_seeds(folder: Path) -> list[bytes]:
    """A detector of ours, of torchvision and of Detectron2, and a bare backbone; safetensors shuffles further facts."""
    backbone, classes = BackboneName.RESNET18, ("a", "b", "c")
    ours, bare = our_values(backbone), our_values(backbone, heads=False)
    said = Statement(geometry=KERAS, backbone=backbone, classes=classes, anchors=LAYOUT, ratios_first=True)
    return [
        save(ours),
        save(their_values(TORCHVISION, ours, backbone), {STATEMENT: said.text()}),
        detectron2_detector(folder / "seed.pkl", **{STATEMENT: said.text()}).read_bytes(),
        pickle.dumps(their_values(DETECTRON2, bare, backbone, body=""), 2),
    ]


def _read_foreign(content: bytes, folder: Path) -> None:
    open_weights(written(folder / "w.bin", content))


TARGETS = (
    Target(name="checkpoint", seeds=_checkpoint_seeds, read=_read_checkpoint, refusals=()),
    Target(name="weights", seeds=_weights_seeds, read=_read_weights, share=0.2),  # each in a process of its own
    Target(name="foreign weights", seeds=_foreign_seeds, read=_read_foreign),
    Target(name="evaluations", seeds=_evaluations_seeds, read=_read_evaluations),
)
