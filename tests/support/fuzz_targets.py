"""What is fuzzed: each kind of file and message that a stranger may hand us, with valid ones to begin from.

A reader may return or refuse. It refuses by the error that its caller turns into a message; whatever else is a finding.
"""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image as Pillow
from safetensors.numpy import save

from detector.config import Canvas, ConfigError, Detector, Hyperparameters
from detector.data import image_cache
from detector.data.dataset import load_dataset
from detector.data.image_file import read_header, read_rgb
from detector.data.layout import find_sources
from detector.data.sample_data import write_sample
from detector.data_source import DataFormat, DataSource
from detector.setup import Setup
from detector.training import checkpoint as checkpoints
from search.export.configuration_file import Configuration, Provenance, read_configuration, write_configuration
from search.export.training_record import EVALUATIONS_FILE, TrainingRecord
from search.study.data_section import Data
from search.study.specification import specification_from_json, specification_to_json
from search.study.study_file import Options, default_study_text, load_study_file
from search.study.study_text import study_text
from search.trainer.protocol import Advance, Pause, Preparing, ProtocolError, Ready, Start, Started, decode, encode
from search.worker.outbox import Crashes, End, Evaluation, Figures, Outbox, read_entries
from storage.connection.address import Address
from storage.connection.errors import StorageError
from trial.outcome import Outcome
from trial.reports import PausedReport, ProgressReport, RungReport, TelemetryPoint, Warned
from trial.verdict import Verdict

DETECTOR = Detector(canvas=Canvas(height_px=96, width_px=128))
USER_MUST_ACT = (ConfigError, StorageError)  # what search/exit_codes.py answers with 2
RUNG = RungReport(step=10, images=160, ap=0.25, metrics={"ap": 0.25, "ap/cat": 0.1}, training_s=1.0, evaluation_s=0.5)
VERDICT = Verdict(
    outcome=Outcome.DIVERGED, cause="loss", message="é", step=3, images=48, evidence={"loss": 1e9, "x": "y"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One reader: `read` gets the bytes and a folder of its own, which holds what `seeds` has put there."""

    name: str
    seeds: Callable[[Path], list[bytes]]
    read: Callable[[bytes, Path], object]
    refusals: tuple[type[Exception], ...] = USER_MUST_ACT
    share: float = 1.0  # of the inputs, beside the others'


def _study_seeds(folder: Path) -> list[bytes]:
    write_sample(folder / "data", train=2, validation=1)
    whole = default_study_text(folder / "data", Options()).replace(str(folder), ".")  # the same on every machine
    explicit = {
        "name": "cells", "storage": "sqlite:///a.db", "workers": 2,
        "data": {"train": {"images": "i", "annotations": "a.json"}, "validation_share": 0.1},
        "detector": {"canvas": "96x128", "weights": "w.h5", "micro_batch": 2},
        "space": {"lr_per_16": {"low": 1e-4, "high": 0.1, "log": True}, "batch_size": [4, 8], "optimizer": "sgd",
                  "anchors": {"sizes_px": [16, 32, 64, 128, 256], "ratios": [0.5, 1, 2]}},
        "derived": {"lr_per_16": 0.01}, "budget": {"trials": 4, "images": 320, "rungs": [80, 160, 320]},
        "sampler": {"name": "tpe", "seed": 3}, "pruner": {"name": "median", "reduction_factor": 2},
    }  # fmt: skip
    return [whole.encode(), json.dumps(explicit).encode(), json.dumps({**explicit, "space": {}}).encode()]


def _read_study(content: bytes, folder: Path) -> None:
    specification = load_study_file(_written(folder / "study.yaml", content))
    Address.parse(specification.storage)
    study_text(specification)
    specification_from_json(json.loads(json.dumps(specification_to_json(specification))), storage="sqlite:///a.db")


def _coco_seeds(folder: Path) -> list[bytes]:
    write_sample(folder, train=3, validation=1)
    document = json.loads((folder / "train.json").read_text())
    document["annotations"][0] |= {"iscrowd": 1, "segmentation": [[1, 2, 3, 4]], "area": 12.5}
    return [json.dumps(document).encode(), (folder / "val.json").read_bytes()]


def _read_coco(content: bytes, folder: Path) -> None:
    file = _written(folder / "train.json", content)
    find_sources(folder)
    load_dataset(DataSource(format=DataFormat.COCO, images=folder / "images", annotations=file))


_XML = """<annotation><filename>{0}.png</filename><size><width>40</width><height>30</height></size>
<object><name>cat</name><difficult>0</difficult>
<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>25</ymax></bndbox></object>
<object><name>dog</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>39.5</xmax><ymax>29</ymax></bndbox></object>
</annotation>"""


def _voc_seeds(folder: Path) -> list[bytes]:
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for stem in ("a", "b"):
        (folder / "JPEGImages" / f"{stem}.png").write_bytes(_image("PNG", "RGB"))
        (folder / "Annotations" / f"{stem}.xml").write_text(_XML.format(stem))
    return [
        _XML.format("a").encode(),
        b'<?xml version="1.0" encoding="utf-8"?>' + _XML.format("b").encode(),
        b"a\nb 1\n",
    ]


def _read_voc(content: bytes, folder: Path) -> None:
    is_list = b"<" not in content[:100]
    _written(folder / "ImageSets" / "Main" / "train.txt", content if is_list else b"a\nb\n")
    _written(folder / "Annotations" / "a.xml", _XML.format("a").encode() if is_list else content)
    load_dataset(find_sources(folder)[0])


def _image(file_format: str, mode: str, **options: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 4), dtype=np.uint8)
    stream = io.BytesIO()
    Pillow.fromarray(pixels).convert("RGB").convert(mode).save(stream, format=file_format, **options)
    return stream.getvalue()


def _image_seeds(_: Path) -> list[bytes]:
    turned = Pillow.Exif()
    turned[0x0112] = 6
    plain = [_image(name, "RGB") for name in ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")]
    modes = [_image("PNG", mode) for mode in ("L", "P", "RGBA", "I;16", "1")] + [_image("TIFF", mode) for mode in "IF"]
    packed = [_image("TIFF", "RGB", compression=name) for name in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")]
    return [*plain, *modes, *packed, _image("JPEG", "CMYK"), _image("JPEG", "RGB", exif=turned, progressive=True)]


def _read_image(content: bytes, folder: Path) -> None:
    file = _written(folder / "image", content)
    read_header(file)
    read_rgb(file, height_px=32, width_px=32)


def _best_seeds(folder: Path) -> list[bytes]:
    provenance = Provenance(
        study="cells", trial=3, ap=0.25, images=320, budget_images=320, seed=1, code_version="1",
        dataset_fingerprint="a", exported_at="2026-01-01T00:00:00Z", packages={"keras": "3"},
    )  # fmt: skip
    configuration = Configuration(
        hyperparameters=Hyperparameters(), detector=DETECTOR,
        classes=("cat", "dog"), data=Data(folder=Path("data")), provenance=provenance,
    )  # fmt: skip
    write_configuration(folder / "best.yaml", configuration)
    from search.study.document import read_document

    return [(folder / "best.yaml").read_bytes(), json.dumps(read_document(folder / "best.yaml")).encode()]


def _read_best(content: bytes, folder: Path) -> None:
    read_configuration(_written(folder / "best.yaml", content))


def _protocol_seeds(_: Path) -> list[bytes]:
    folder = Path("/somewhere")
    source = DataSource(format=DataFormat.COCO, images=folder, annotations=folder / "a.json")
    setup = Setup(
        train=source, validation=None, validation_share=0.2, detector=DETECTOR, anchors_per_cell=3, micro_batch=2,
        validation_images=None, cache=folder, seed=1,
    )  # fmt: skip
    warned = (Warned(rule="slow", step=1, message="x"),)
    messages = [
        setup, Start(trial=1, hyperparameters=Hyperparameters(), seed=1, budget_images=320, directory=folder),
        Advance(to_images=80), Pause(), Preparing(stage="x", done=1, total=2), Started(images=0),
        PausedReport(images=16), Ready(backend="x", device="CPU", versions={"a": "1"}, setup_s=1.0), RUNG, VERDICT,
        ProgressReport(step=1, images=16, figures={"loss": float("nan")}, images_per_s=1.0, warnings=warned),
    ]  # fmt: skip
    return [encode(message).encode() for message in messages]


def _read_protocol(content: bytes, _: Path) -> None:
    decode(content.decode("utf-8", "replace"))


def _outbox_seeds(folder: Path) -> list[bytes]:
    box = Outbox(folder, 1)
    points = [TelemetryPoint(step=1, images=16, figures={"loss": 0.5})]
    for entry in (Figures(points=points), Evaluation(rung=160, record=RUNG), Crashes(count=1), End(verdict=VERDICT)):
        box.append(entry)
    return [(folder / "outbox-000001.jsonl").read_bytes()]


def _read_outbox(content: bytes, folder: Path) -> None:
    for entry in read_entries(_written(folder / "outbox-000001.jsonl", content)):
        if isinstance(entry, Evaluation):
            assert entry.rung >= 0
            assert not entry.record.ap > 1


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
        _written(place / (checkpoints.MANIFEST if is_manifest else checkpoints.STATE), content)
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
    load_backbone(_network(), str(_written(folder / f"w{suffix}", content)))


PIXELS = (2, 8, 8, 3)


def _pixels_seeds(folder: Path) -> list[bytes]:
    np.save(folder / "pixels.npy", np.zeros(PIXELS, np.uint8))
    return [(folder / "pixels.npy").read_bytes()]


def _read_pixels(content: bytes, folder: Path) -> None:
    whole = image_cache._mapped(_written(folder / "pixels.npy", content), PIXELS)
    assert whole is None or whole.shape == PIXELS


def _evaluations_seeds(_: Path) -> list[bytes]:
    return [json.dumps({"80": {"ap": 0.1}, "160": {"ap": 0.2, "ap/cat": 0.1}}).encode()]


def _read_evaluations(content: bytes, folder: Path) -> None:
    _written(folder / EVALUATIONS_FILE, content)
    TrainingRecord(folder, show=lambda _: None).reported()


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


TARGETS = (
    Target(name="study", seeds=_study_seeds, read=_read_study),
    Target(name="coco", seeds=_coco_seeds, read=_read_coco),
    Target(name="voc", seeds=_voc_seeds, read=_read_voc),
    Target(name="image", seeds=_image_seeds, read=_read_image),
    Target(name="best", seeds=_best_seeds, read=_read_best),
    Target(name="protocol", seeds=_protocol_seeds, read=_read_protocol, refusals=(ProtocolError,)),
    Target(name="outbox", seeds=_outbox_seeds, read=_read_outbox, refusals=()),
    Target(name="checkpoint", seeds=_checkpoint_seeds, read=_read_checkpoint, refusals=()),
    Target(name="weights", seeds=_weights_seeds, read=_read_weights, share=0.2),  # each in a process of its own
    Target(name="pixels", seeds=_pixels_seeds, read=_read_pixels, refusals=()),
    Target(name="evaluations", seeds=_evaluations_seeds, read=_read_evaluations),
)
