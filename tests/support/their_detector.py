"""Our detector with the values of torchvision's golden cases, and all that it computes, under the names there."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from detector.backend import Compiled, on_device, to_device, to_host
from detector.config import Anchors, Canvas, Hyperparameters, StepShape
from detector.network.network import build
from detector.network.weights import load_weights_found
from detector.training.inputs import trial_inputs
from detector.training.prediction import PredictStep
from detector.training.step import TrainStep
from detector.weight_files.found_weights import FoundWeights
from detector.weight_files.opening import open_weights
from tests.support.random_detector import boxes, picture, random_values

GOLDEN = Path(__file__).resolve().parents[1] / "fixtures" / "torchvision_golden.npz"
BOXES, SEED, LEAST_SCORE, CLASSES = 20, 7, 0.5, 3
CANVASES = {
    "resnet50": ((64, 64), (64, 128), (128, 128)),
    "resnet18": ((64, 64),),
    "resnet34": ((64, 64),),
    "resnet101": ((64, 64),),
}


@dataclass(frozen=True)
class GoldenCase:
    """One of the detectors whose outputs by torchvision are kept."""

    name: str

    def state_dict(self) -> dict[str, np.ndarray]:
        """torchvision's values, drawn by name."""
        with np.load(GOLDEN) as golden:
            shapes = json.loads(str(golden[f"{self.name}/shapes"]))
        return random_values(shapes, SEED, closing=2 if self.name in ("resnet18", "resnet34") else 3)

    def file(self, folder: Path) -> Path:
        """The state dict as its users keep it."""
        path = folder / f"{self.name}.safetensors"
        save_file(self.state_dict(), path)
        return path

    @property
    def anchors(self) -> Anchors:
        with np.load(GOLDEN) as golden:
            return Anchors(sizes_px=tuple(map(tuple, golden[f"{self.name}/sizes"].tolist())))

    def expected(self, height: int, width: int) -> dict[str, np.ndarray]:
        """torchvision's samples on that canvas by name."""
        start = f"{self.name}/{height}x{width}/"
        with np.load(GOLDEN) as golden:
            return {key.removeprefix(start): golden[key] for key in golden.files if key.startswith(start)}

    def shape(self, found: FoundWeights, height: int, width: int) -> StepShape:
        """The shape in which our step does as theirs."""
        assert found.backbone is not None
        return StepShape(
            canvas=Canvas(height_px=height, width_px=width),
            micro_batch=1,
            anchors_per_cell=self.anchors.per_cell,
            boxes_per_image=1,
            classes=CLASSES,
            backbone=found.backbone,
            geometry=found.geometry,
        )

    def outputs(self, path: Path, height: int, width: int) -> dict[str, np.ndarray]:
        """What ours computes with the values of the file; levels [h, w, channels], rows in our order."""
        found = open_weights(path)
        shape = self.shape(found, height, width)
        network = build(shape)
        load_weights_found(network, path, found, whole=True)
        settings = replace(Hyperparameters(), anchors=self.anchors, score_threshold=LEAST_SCORE)
        inputs = on_device(trial_inputs(settings, shape, seed=0))
        step = TrainStep(network, shape)
        predict = PredictStep(network, shape, step)
        values = [[to_device(to_host(variable)) for variable in part] for part in (network.trainable, network.frozen)]

        def everything(images: Any, extents: Any, rois: Any) -> dict[str, Any]:
            levels = network.pyramid(network.backbone(network.kind.preprocess(images), training=False))
            heads = [network.rpn(level) for level in levels]
            logits, deltas = step.classify(levels[:4], rois)
            found = predict(*values, images, extents, inputs)
            return {
                **{f"P{number}": level for number, level in enumerate(levels, start=2)},
                **{f"rpn_logits{number}": head[0] for number, head in enumerate(heads, start=2)},
                **{f"rpn_deltas{number}": head[1] for number, head in enumerate(heads, start=2)},
                "class_logits": logits,
                "box_deltas": deltas,
                **{name: found[name] for name in ("boxes", "scores", "classes")},
            }

        pictures = picture(height, width)[None].astype(np.float32)
        given = (pictures, np.array([[height, width]], np.float32), boxes(height, width, BOXES)[None])
        return {name: to_host(value)[0] for name, value in Compiled(everything)(*map(to_device, given)).items()}


def in_their_order(name: str, array: np.ndarray, anchors: Anchors) -> np.ndarray:
    """An output of ours with its rows as torchvision has them."""
    sizes, ratios = len(anchors.sizes_px[0]), len(anchors.ratios)
    if name.startswith("rpn_"):
        rows = array.reshape(*array.shape[:-1], sizes, ratios, -1).swapaxes(-2, -3)  # they go through ratios first
        rows = rows[..., [1, 0, 3, 2]] if "deltas" in name else rows
        return rows.reshape(array.shape)
    if name == "class_logits":
        return np.concatenate([array[:, -1:], array[:, :-1]], axis=1)
    if name == "box_deltas":
        return array[..., [1, 0, 3, 2]].reshape(len(array), -1)
    return array
