"""A network's values: from ImageNet, from a file or from nothing but a seed, and into a file.

With no pretrained weights the batch norm that is about to be frozen must first see data: identity statistics let the
features explode over the residual blocks (Detectron2 #5080).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from detector.backend import Compiled, to_device, to_host
from detector.boxes import Tensor
from detector.config import BackboneName, ConfigError, NamedWeights
from detector.network.hdf5_file import check_hdf5
from detector.network.network import Network
from detector.setup import Progress, unheard
from detector.weight_files.download.model_zoo import coco_weights
from detector.weight_files.found_weights import FileKind, FoundWeights
from detector.weight_files.opening import open_weights
from detector.whole_file import write_whole

CALIBRATION_IMAGES = 64


class UntrainedNorms(ConfigError):
    """Weights whose batch norm has never seen data."""

    rule = "untrained batch norm"


def found_weights(
    weights: str, backbone: BackboneName = BackboneName.RESNET50, on_progress: Progress = unheard
) -> FoundWeights | None:
    """What the file holds, and how it is meant; None where Keras knows the weights, or there are none.

    Raises:
        ConfigError: there is no such file, or nothing in it is known, or it could not be fetched.
    """
    match weights:
        case NamedWeights.COCO:
            return coco_weights(backbone, on_progress)
        case NamedWeights.IMAGENET | NamedWeights.NONE:
            return None
        case _:
            return open_weights(Path(weights))


def stage(weights: str, found: FoundWeights | None) -> str:
    """What goes on while they are loaded, and what of a file is not taken."""
    if weights == NamedWeights.NONE:
        return "drawing weights"
    return f"loading weights ({weights}{'; ' + found.remark if found and found.remark else ''})"


def load_backbone(network: Network, weights: str, found: FoundWeights | None = None) -> None:
    """Fill the backbone from weights of a name or a file; `found` is what that holds, where it was opened before.

    Of a whole detector pyramid and heads are taken, too, where their shapes are the network's.

    Raises:
        ConfigError: the download failed, or the file does not hold a trained backbone of this kind.
    """
    found = found or found_weights(weights, network.kind.name)
    if found is None:
        _load_imagenet(network)
    else:
        if found.kind is FileKind.KERAS:
            _load_keras(network, Path(weights))
        else:
            load_weights_found(network, Path(weights), found)
    _refuse_untrained_norms(network, weights)


def load_weights_found(network: Network, path: Path, found: FoundWeights, *, whole: bool = False) -> None:
    """Fill the network with what the file at that path was found to hold; see `load_weights`.

    Raises:
        ConfigError: as there, or its backbone is another.
    """
    kind = network.kind
    if found.backbone not in (None, kind.name):
        raise ConfigError(f"{path} holds a {found.backbone}, but detector.backbone is {kind.name}; change that")
    if found.backbone is not None and found.geometry != kind.geometry:
        raise ValueError(f"the network was built for {kind.geometry}, but {path} means {found.geometry}")
    _fill(network, path, found.values, whole=whole)


def _load_keras(network: Network, path: Path) -> None:
    check_hdf5(path)
    # With the single output that such files are written for; the layers are the same objects.
    single = keras.Model(network.backbone.input, network.backbone.outputs[-1])
    try:
        single.load_weights(path)
    except Exception as error:  # a damaged file makes keras and HDF5 raise whatever they stumble over
        raise ConfigError(
            f"{path} does not hold the weights of a {network.kind.name} without its top: {error}"
        ) from error


def _refuse_untrained_norms(network: Network, weights: str) -> None:
    """Frozen at mean 0 and variance 1 batch norm does nothing, and the features explode (Detectron2 #5080)."""
    for norm in _norms(network):
        if np.any(to_host(norm.moving_mean)) or np.any(to_host(norm.moving_variance) != 1):
            return
    raise UntrainedNorms(
        f"{weights}: every batch norm has mean 0 and variance 1, as before any training; "
        "name weights that were trained, or none, which calibrates them on your images"
    )


def _load_imagenet(network: Network) -> None:
    try:
        pretrained = network.kind.pretrained()
    except Exception as error:  # keras raises a bare Exception for a failed download
        raise ConfigError(
            f"the ImageNet weights could not be downloaded ({error}); give a file in `weights`, or `none`"
        ) from error
    by_path = {variable.path: variable for variable in pretrained.variables}
    for variable in network.backbone.variables:
        variable.assign(by_path[variable.path])


def initial_backbone(
    network: Network, weights: str, seed: int, images: np.ndarray, cache: Path, found: FoundWeights | None = None
) -> None:
    """Fill the backbone: pretrained, or drawn by seed and calibrated on `images` (uint8 [N, H, W, 3]).

    A calibrated one is kept in `cache`, so that every trainer of a host starts from the same values.
    """
    if weights != NamedWeights.NONE:
        load_backbone(network, weights, found)
        return
    cache.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(images.tobytes() + f"{seed} {images.shape} {keras.backend.backend()}".encode()).hexdigest()
    path = cache / f"{network.kind.name}-{key[:16]}.safetensors"
    with FileLock(f"{path}.lock"):
        if not _load_backbone_values(network, path):
            draw_backbone(network, seed, images)
            save_weights(path, {variable.path: to_host(variable) for variable in network.backbone.variables})


def _load_backbone_values(network: Network, path: Path) -> bool:
    try:
        values = load_file(path)
        for variable in network.backbone.variables:
            variable.assign(values[variable.path])
    except (FileNotFoundError, SafetensorError, KeyError, ValueError):
        return False
    return True


def reseed(part: keras.Model, seed: int) -> None:
    """Draw the part's kernels and biases anew; the same seed gives the same values."""
    for number, layer in enumerate(part.layers):
        for name in ("kernel", "bias"):
            variable = getattr(layer, name, None)
            if variable is None:
                continue
            initializer = getattr(layer, f"{name}_initializer")
            settings = initializer.get_config()
            if "seed" in settings:
                settings["seed"] = (seed * 1009 + number) % 2**31
            variable.assign(type(initializer).from_config(settings)(variable.shape, dtype=variable.dtype))


def draw_backbone(network: Network, seed: int, images: np.ndarray) -> None:
    """A backbone from nothing: kernels drawn by seed, residual branches scaled down, batch norm calibrated."""
    reseed(network.backbone, seed)
    for norm in _norms(network):
        scale = network.kind.residual_scale if network.kind.closes_branch(norm.name) else 1.0
        norm.gamma.assign(np.full(norm.gamma.shape, scale, np.float32))
        norm.beta.assign(np.zeros(norm.beta.shape, np.float32))
    calibrate(network, images)


def calibrate(network: Network, images: np.ndarray) -> None:
    """Set every batch norm's statistics to those of `images` (uint8 [N, H, W, 3]), each layer seeing the layers below
    already normalised."""
    norms = _norms(network)
    statistics = [variable for norm in norms for variable in (norm.moving_mean, norm.moving_variance)]

    def forward(batch: Tensor) -> list[Tensor]:
        with keras.StatelessScope() as scope:
            network.backbone(network.kind.preprocess(keras.ops.cast(batch, "float32")), training=True)
        return [scope.get_current_value(variable) for variable in statistics]

    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # one pass replaces the statistics altogether
    values = Compiled(forward)(to_device(images))
    for variable, value in zip(statistics, values, strict=True):
        variable.assign(value)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _norms(network: Network) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in network.backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]


def named_values(network: Network, trainable: Sequence[Tensor], frozen: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """Host copies of all values by variable path."""
    variables = (*network.trainable, *network.frozen)
    return {v.path: to_host(t) for v, t in zip(variables, (*trainable, *frozen), strict=True)}


def save_weights(path: Path, values: dict[str, np.ndarray], **facts: object) -> None:
    """Write values as safetensors with `facts` in its header; the file appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {key: json.dumps(value) for key, value in facts.items()}
    write_whole(path, lambda file: save_file(values, file, metadata=metadata))


def load_weights(network: Network, path: Path, *, whole: bool = False) -> None:
    """Fill the network from `save_weights`; heads of another shape (classes, anchors) keep their own values, unless
    the `whole` network must be there.

    Raises:
        ConfigError: it is no such file, or its backbone is another.
    """
    try:
        values = load_file(path)
    except Exception as error:  # an array of a type that NumPy lacks is a KeyError
        raise ConfigError(f"{path} is not a safetensors file of weights: {error}") from error
    _fill(network, path, values, whole=whole)


def _fill(network: Network, path: Path, values: Mapping[str, np.ndarray], *, whole: bool) -> None:
    shapes = {name: value.shape for name, value in values.items()}
    needed = (*network.trainable, *network.frozen) if whole else network.backbone.variables
    if missing := [v.path for v in needed if shapes.get(v.path) != tuple(v.shape)]:
        raise ConfigError(f"{path} is not a detector of this kind: it lacks {missing[0]} and {len(missing) - 1} more")
    for variable in (*network.trainable, *network.frozen):
        value = values.get(variable.path)
        if value is not None and value.shape == tuple(variable.shape):
            variable.assign(value)
