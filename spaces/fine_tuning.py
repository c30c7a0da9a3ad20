"""What a study searches that begins with a whole detector: ranges around those with which such models are fine-tuned.

Published rates, on the linear scale per 16 images: 0.04 of torchvision's tutorial (0.005 in batches of 2), 0.02 of
MMDetection's (0.0025 in batches of 2), 0.002 of Detectron2's (0.00025 in batches of 2); see docs/decisions/0026.
"""

from collections.abc import Mapping

from detector.config import Optimizer
from detector.weight_files.found_weights import AnchorLayout
from spaces.catalogue import DEFINITIONS, RATES
from spaces.faster_rcnn import Space
from spaces.parameters import Fixed, Float, Parameter, Value

FINE_TUNING_RATES: Mapping[Optimizer, Float] = {
    Optimizer.SGD: Float(low=5e-4, high=0.04, log=True),
    Optimizer.ADAM: Float(low=1e-5, high=3e-3, log=True),  # what trial 1 has lies amid them
}

#: In place of the catalogue's.
FINE_TUNING: Mapping[str, Parameter] = {
    **{RATES[optimizer]: rates for optimizer, rates in FINE_TUNING_RATES.items()},
    "momentum": Float(low=0.85, high=0.95),
    "weight_decay": Float(low=1e-5, high=1e-3, log=True),  # 1e-4 and 5e-4 are published
    "warmup_fraction": Float(low=0, high=0.05),  # only what is drawn anew has to be warmed up
    "augmentation": Float(low=0, high=0.5),  # pyramid and heads have seen their share already
}


def fine_tuning_space(anchors: AnchorLayout | None) -> Space:
    """The default space with the ranges of fine-tuning, and as many anchors a cell as the detector has: so that the
    RPN's rows of every trial are the detector's. What a study could not name is left free.
    """
    return Space.default().replaced({**FINE_TUNING, **(_counts(anchors) if anchors else {})})


def _counts(anchors: AnchorLayout) -> dict[str, Parameter]:
    counts: dict[str, Value] = {"anchor_scales": anchors.sizes, "anchor_ratios": anchors.ratios}
    return {name: Fixed(value=count) for name, count in counts.items() if _is_valid(name, int(count))}


def _is_valid(name: str, count: int) -> bool:
    low, high = DEFINITIONS[name].limits
    return low <= count <= high
