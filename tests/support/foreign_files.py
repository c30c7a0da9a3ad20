"""Files of weights as other programs write them, with values drawn by name."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from detector.config import BackboneName
from detector.geometry import TORCHVISION
from detector.resnets import RESNETS
from detector.weight_files.dialects import DETECTRON2, Dialect
from detector.weight_files.found_weights import AnchorLayout
from detector.weight_files.translation import Translation
from tests.support.random_detector import generator

WIDTH = 2  # filters of every convolution: names and layouts need no more
LAYOUT = AnchorLayout(sizes=2, ratios=3)


def our_values(
    backbone: BackboneName, *, heads: bool = True, classes: int = 3, slots: int = 6
) -> dict[str, np.ndarray]:
    """A narrow detector under our names; only the box head is as wide as a real one."""
    shapes: dict[str, tuple[int, ...]] = {}
    for convolution in RESNETS[backbone].convolutions():
        shapes[f"{convolution.name}_conv/kernel"] = (3, 1, WIDTH, WIDTH)
        shapes |= {f"{convolution.name}_bn/{name}": (WIDTH,) for name in ("gamma", "beta", "moving_mean")}
    if heads:
        layers = {f"{part}{level}": (1, 3, WIDTH, WIDTH) for part in ("lateral", "output") for level in range(2, 6)}
        layers |= {"rpn_conv": (3, 3, WIDTH, WIDTH), "rpn_logits": (1, 1, WIDTH, slots)}
        layers |= {"rpn_deltas": (1, 1, WIDTH, 4 * slots), "fc1": (7 * 7 * 256, WIDTH), "fc2": (WIDTH, WIDTH)}
        layers |= {"class_logits": (WIDTH, classes + 1), "box_deltas": (WIDTH, 4 * classes)}
        for name, shape in layers.items():
            shapes |= {f"{name}/kernel": shape, f"{name}/bias": shape[-1:]}
    values = {name: generator(name).standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    for convolution in RESNETS[backbone].convolutions():
        values[f"{convolution.name}_conv/bias"] = np.zeros(WIDTH, np.float32)
        variance = generator(convolution).uniform(0.1, 2, WIDTH).astype(np.float32)
        values[f"{convolution.name}_bn/moving_variance"] = variance
    return values


def their_values(
    dialect: Dialect, ours: Mapping[str, np.ndarray], backbone: BackboneName, *, body: str | None = None
) -> dict[str, np.ndarray]:
    """The same under another framework's names; `body` stands before those of a backbone without heads."""
    translation = Translation(
        dialect=dialect,
        shape=RESNETS[backbone],
        geometry=TORCHVISION,
        body=dialect.body if body is None else body,
    )
    return translation.their_backbone(ours) | (translation.their_heads(ours, LAYOUT) if "fc1/kernel" in ours else {})


def detectron2_pickle(path: Path, model: Mapping[str, np.ndarray], **beside: Any) -> Path:
    """A file of the model zoo's kind."""
    path.write_bytes(pickle.dumps({"model": dict(model), "__author__": "Detectron2 Model Zoo", **beside}))
    return path


def detectron2_detector(path: Path, backbone: BackboneName = BackboneName.RESNET18, **beside: Any) -> Path:
    """A whole detector of that kind."""
    return detectron2_pickle(path, their_values(DETECTRON2, our_values(backbone), backbone), **beside)


def coco_detector(path: Path, backbone: BackboneName = BackboneName.RESNET18) -> Path:
    """One with as many classes as COCO has."""
    return detectron2_pickle(path, their_values(DETECTRON2, our_values(backbone, classes=80), backbone))
