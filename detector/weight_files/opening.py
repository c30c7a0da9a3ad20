"""A file of weights, opened by what stands in it; its name only decides where that says nothing."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import safe_open

from detector.config import WEIGHTS_CHOICES, ConfigError
from detector.geometry import KERAS
from detector.weight_files.found_weights import FileKind, FoundWeights
from detector.weight_files.pickle_file import read_pickle
from detector.weight_files.state_dict import StateDict, recognise, unwrapped
from detector.weight_files.statement import STATEMENT, statement_of_ours
from detector.weight_files.torch_file import read_torch

KNOWN = ".safetensors, .h5 of keras.applications, .pkl of Detectron2, .pth or .pt of PyTorch"
HDF5, ZIP, PICKLE = b"\x89HDF", b"PK\x03\x04", b"\x80"
TORCH_MAGIC = b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # the number with which PyTorch's older files begin
#: Beginnings of the digests of torchvision's own files whose batch norms add nothing: it sets this when it loads them.
NO_EPSILON = {"258fb6c6": 0.0, "bf2d0c1e": 0.0, "fc266e95": 0.0}  # Faster, Mask and Keypoint R-CNN, COCO_V1


def open_weights(path: Path) -> FoundWeights:
    """What the file holds: whose it is, and its values under our names.

    The values of a file of keras.applications, which Keras reads itself, are left out.

    Raises:
        ConfigError: there is no such file, or nothing in it is known.
    """
    if not path.is_file():
        raise ConfigError(f"weights must be {WEIGHTS_CHOICES}, but there is no file {str(path)!r}")
    with path.open("rb") as file:
        start = file.read(64)
    if _begins_with_header(start, size=path.stat().st_size):
        return _safetensors(path)
    if start.startswith(HDF5) or path.suffix == ".h5":
        return FoundWeights(kind=FileKind.KERAS, geometry=KERAS)
    if start.startswith(ZIP) or TORCH_MAGIC in start:
        return _foreign(path, lambda: replace(unwrapped(read_torch(path)), epsilon=NO_EPSILON.get(digest(path))))
    if start.startswith(PICKLE) or path.suffix == ".pkl":
        return _foreign(path, lambda: unwrapped(read_pickle(path)))
    if path.suffix == ".safetensors":
        return _safetensors(path)
    raise ConfigError(f"{path} is no file of weights that is known: {KNOWN}")


def _begins_with_header(start: bytes, *, size: int) -> bool:
    """Whether it is a safetensors file: the length of its header, and JSON.

    This is asked first: each 32nd length begins with the byte that a pickle begins with.
    """
    return start[8:9] == b"{" and 8 + int.from_bytes(start[:8], "little") <= size


def _foreign(path: Path, state: Callable[[], StateDict]) -> FoundWeights:
    try:
        return recognise(state())
    except ConfigError as error:
        told = str(error)
        raise ConfigError(told if str(path) in told else f"{path}: {told}") from error
    except (ValueError, IndexError, TypeError) as error:  # shapes that no network of these has
        raise ConfigError(f"{path} does not hold the weights that its names promise: {error}") from error


def _safetensors(path: Path) -> FoundWeights:
    values, metadata = _read(path)
    if any("/" in name for name in values) or not values:
        return _ours(path, values, metadata)
    return _foreign(path, lambda: unwrapped(values, statement=metadata.get(STATEMENT, "")))


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception as error:  # an array of a type that NumPy lacks is a KeyError
        raise ConfigError(f"{path} is not a safetensors file of weights: {error}") from error


def _ours(path: Path, values: dict[str, np.ndarray], metadata: dict[str, str]) -> FoundWeights:
    try:
        said = statement_of_ours(metadata)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ConfigError(
            f"{path}: what it says of its detector is damaged, or another version wrote it: {error!r}"
        ) from error
    if said is None:
        return FoundWeights(kind=FileKind.OURS, geometry=KERAS, values=values)
    return FoundWeights(
        kind=FileKind.OURS,
        geometry=said.geometry,
        backbone=said.backbone,
        values=values,
        classes=said.classes,
        anchors=said.anchors,
    )


def digest(path: Path) -> str:
    """The beginning of the file's SHA-256, as torchvision has it in the names of its files."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]
