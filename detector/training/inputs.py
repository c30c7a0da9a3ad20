"""The hyperparameters of a trial as inputs of the compiled step: plain arrays, one name each.

Nothing here is a constant of the executable, so that trials which differ in any of it share one.
"""

from typing import Any

import numpy as np

from detector.config import Hyperparameters, Optimizer, StepShape
from detector.network.anchors import cell_anchors
from detector.training.augmentation import pack_ranges

SCALARS = (
    "rpn_lr_factor", "momentum", "weight_decay", "clip_norm", "rpn_positive_iou", "rpn_negative_iou",
    "rpn_positive_fraction", "roi_positive_iou", "roi_positive_fraction", "proposal_nms_iou", "detection_nms_iou",
    "score_threshold",
)  # fmt: skip


def trial_inputs(hyperparameters: Hyperparameters, shape: StepShape, seed: int) -> dict[str, Any]:
    """What stays the same for all steps of a trial: float32 scalars, and
    `cells` [L, A, 4], `cell_valid` [L, A], `augmentation` [9], `seed`, `adam`, `low_quality_matches`."""
    cells, valid = cell_anchors(hyperparameters.anchors, shape.anchors_per_cell, shape.geometry)
    return {
        **{name: np.float32(getattr(hyperparameters, name)) for name in SCALARS},
        "cells": cells,
        "cell_valid": valid,
        "augmentation": pack_ranges(hyperparameters.augmentation),
        "seed": np.int32(seed % 2**31),
        "adam": np.bool_(hyperparameters.optimizer is Optimizer.ADAM),
        "low_quality_matches": np.float32(hyperparameters.low_quality_matches),
    }


def step_inputs(*, learning_rate: float, step: int, micro_step: int, micro_steps: int) -> dict[str, Any]:
    """What changes from one micro-batch to the next; `update` counts optimizer steps from 1."""
    return {
        "learning_rate": np.float32(learning_rate),
        "update": np.float32(step + 1),
        "share": np.float32(1 / micro_steps),
        "first": np.bool_(micro_step == 0),
        "last": np.bool_(micro_step == micro_steps - 1),
    }
