"""The figures that a step returns in one packed vector, so that watching costs one transfer.

Losses and counts are means over the micro-batches of an optimizer step; the rest belongs to its update. Names follow
Detectron2's logger where it has one.
"""

from collections.abc import Mapping

import numpy as np

COMPONENTS = ("backbone", "pyramid", "rpn", "box_head")  # parts of the network
LOSSES = ("loss_rpn_class", "loss_rpn_box", "loss_roi_class", "loss_roi_box")

#: Figures of one micro-batch, averaged over an optimizer step.
FORWARD_FIGURES = (
    *LOSSES,
    "positive_anchors",  # per image, before sampling
    "low_quality_anchors",  # of these, positive only as the best of some box, below the threshold
    "sampled_anchors",  # per image: slots of the sample in use, over which the RPN's losses are taken
    "sampled_rois",
    "foreground_rois",  # per image, among the sampled
    "foreground_proposals",  # per image, among the sampled, ground truth not counted
    "valid_proposals",  # per image, after NMS
    "proposal_recall",  # share of boxes that a proposal covers with IoU >= .5
    "max_objectness",  # largest absolute logit
    "max_class_logit",
    "clamped_deltas",  # share of anchor sides that the RPN would grow beyond the clamp of `boxes.decode`
    "foreground_accuracy",  # of the sampled foreground RoIs, classified rightly
    "false_negatives",  # of the sampled foreground RoIs, classified as background
    "boxes",  # per image, after augmentation
    "largest_label",  # of these, at most K - 1
    "feature_rms",  # of P2
    "pixel_mean",  # of the preprocessed images in levels of 0 … 255, padding left out
    "pixel_deviation",  # of a channel
)

#: Figures of the update.
UPDATE_FIGURES = (
    "learning_rate",
    "gradient_norm",  # before clipping
    *(f"gradient_norm_{name}" for name in COMPONENTS),
    *(f"update_ratio_{name}" for name in COMPONENTS),  # |change| / |weights|
    "first_bad_step",  # -1 while every step was finite
    "first_bad_terms",  # bits: LOSSES in order, then the gradient
)

FIGURES = (*FORWARD_FIGURES, *UPDATE_FIGURES)
GRADIENT_BIT = 1 << len(LOSSES)


def unpack(vector: np.ndarray) -> dict[str, float]:
    """The packed vector by name, with the total loss."""
    figures = {name: float(value) for name, value in zip(FIGURES, vector, strict=True)}
    return {"loss": sum(figures[name] for name in LOSSES), **figures}


def bad_terms(figures: Mapping[str, float]) -> tuple[str, ...]:
    """The terms that were not finite at the first bad step: loss names, and `gradient`; empty while there is none."""
    if figures["first_bad_step"] < 0:
        return ()
    bits = int(figures["first_bad_terms"])
    return tuple(name for bit, name in enumerate((*LOSSES, "gradient")) if bits >> bit & 1)
