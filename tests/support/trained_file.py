"""A file as `train` leaves it, as far as it is looked at before anything is trained."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from detector.config import Canvas, Hyperparameters, StepShape

KERNEL = np.zeros((1, 1), np.float32)
BACKBONE_ALONE, WHOLE = "conv1_conv/kernel", "fc1/kernel"  # a name that is in either, and one of a whole detector


def trained(path: Path, name: str = WHOLE) -> str:
    """The path of the file, which holds one kernel of that name, and says that a cell has three anchors."""
    canvas = Canvas(height_px=64, width_px=96)
    shape = StepShape(canvas=canvas, micro_batch=1, anchors_per_cell=3, boxes_per_image=1, classes=1)
    facts = {"classes": ["cell"], "shape": asdict(shape), "hyperparameters": asdict(Hyperparameters())}
    save_file({name: KERNEL}, path, metadata={key: json.dumps(fact) for key, fact in facts.items()})
    return str(path)
