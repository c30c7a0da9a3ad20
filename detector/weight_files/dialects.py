"""What torchvision and Detectron2 call the layers of a Faster R-CNN, and how their rows differ from ours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from detector.resnets import FIRST_STAGE, SHORTCUT, Convolution

NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The names of one framework."""

    body: str  # what stands before the names of the backbone in a whole detector
    convolution: Callable[[Convolution], tuple[str, str]]  # names of its layer, and of its norm
    layers: Mapping[str, str]  # of pyramid and heads by our names
    background_first: bool  # and with rows of its own among the boxes'
    ratios_first: bool  # among the anchors of a cell


def _torchvision(convolution: Convolution) -> tuple[str, str]:
    if convolution.stage < FIRST_STAGE:
        return "conv1", "bn1"
    block = f"layer{convolution.stage - 1}.{convolution.block}"
    if convolution.number == SHORTCUT:
        return f"{block}.downsample.0", f"{block}.downsample.1"
    return f"{block}.conv{convolution.number}", f"{block}.bn{convolution.number}"


def _detectron2(convolution: Convolution) -> tuple[str, str]:
    if convolution.stage < FIRST_STAGE:
        return "stem.conv1", "stem.conv1.norm"
    block = f"res{convolution.stage}.{convolution.block}"
    name = f"{block}.shortcut" if convolution.number == SHORTCUT else f"{block}.conv{convolution.number}"
    return name, f"{name}.norm"


_PREDICTOR = {
    "class_logits": "roi_heads.box_predictor.cls_score",
    "box_deltas": "roi_heads.box_predictor.bbox_pred",
}
TORCHVISION = Dialect(
    body="backbone.body.",
    convolution=_torchvision,
    layers={
        **{f"lateral{level}": f"backbone.fpn.inner_blocks.{level - 2}.0" for level in range(2, 6)},
        **{f"output{level}": f"backbone.fpn.layer_blocks.{level - 2}.0" for level in range(2, 6)},
        "rpn_conv": "rpn.head.conv.0.0",
        "rpn_logits": "rpn.head.cls_logits",
        "rpn_deltas": "rpn.head.bbox_pred",
        "fc1": "roi_heads.box_head.fc6",
        "fc2": "roi_heads.box_head.fc7",
        **_PREDICTOR,
    },
    background_first=True,
    ratios_first=True,
)
DETECTRON2 = Dialect(
    body="backbone.bottom_up.",
    convolution=_detectron2,
    layers={
        **{f"lateral{level}": f"backbone.fpn_lateral{level}" for level in range(2, 6)},
        **{f"output{level}": f"backbone.fpn_output{level}" for level in range(2, 6)},
        "rpn_conv": "proposal_generator.rpn_head.conv",
        "rpn_logits": "proposal_generator.rpn_head.objectness_logits",
        "rpn_deltas": "proposal_generator.rpn_head.anchor_deltas",
        "fc1": "roi_heads.box_head.fc1",
        "fc2": "roi_heads.box_head.fc2",
        **_PREDICTOR,
    },
    background_first=False,
    ratios_first=False,
)
