"""Weights that nobody trained, drawn by seed so that they find a hundred objects of all classes in any picture."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from detector.backend import to_host
from detector.config import Anchors, Detector, Hyperparameters, StepShape
from detector.network.network import build
from detector.network.weights import draw_backbone, reseed, save_weights

CLASSES = ("disc", "square", "triangle")
ANCHORS = Anchors(sizes_px=((8.0,), (16.0,), (32.0,), (64.0,), (128.0,)), ratios=(0.5, 1.0, 2.0))

#: How much larger the last layers' kernels are than at a training's beginning, so that scores and boxes differ.
SPREAD = {"rpn_logits": 5.0, "rpn_deltas": 2.0, "class_logits": 6.0, "box_deltas": 5.0}


def write_drawn_detector(path: Path, detector: Detector, *, seed: int) -> None:
    """Write weights as `train` leaves them."""
    shape = StepShape.for_detector(
        detector, anchors_per_cell=ANCHORS.per_cell, boxes_per_image=4, classes=len(CLASSES), micro_batch=1
    )
    network = build(shape)
    size = (4, shape.canvas.height_px, shape.canvas.width_px, 3)
    draw_backbone(network, seed, np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8))
    for part in network.heads:
        reseed(part, seed)
        for layer in part.layers:
            if layer.name in SPREAD:
                layer.kernel.assign(to_host(layer.kernel) * SPREAD[layer.name])
    values = {variable.path: to_host(variable) for variable in (*network.trainable, *network.frozen)}
    hyperparameters = Hyperparameters(anchors=ANCHORS, score_threshold=0.02)
    save_weights(path, values, shape=asdict(shape), hyperparameters=asdict(hyperparameters), classes=list(CLASSES))
