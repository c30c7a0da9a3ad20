"""A script that builds the detector of torchvision's parts and trains it."""

import shlex

from search.export.frameworks.fidelity import Fidelity, Note, approximate, exact, not_expressed
from search.export.frameworks.framework import Framework, Texts
from search.export.frameworks.python_text import call
from search.export.frameworks.recipe import Recipe
from search.export.frameworks.template import script
from search.export.frameworks.torch_training import MODULE, module_text, training_notes, training_text

FILE = "torchvision_train.py"
FULL_SCALE = 255.0
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # RGB, 0..1: of torchvision's weights

EXACT_KEYS = (
    "anchors.sizes_px", "anchors.ratios", "rpn_positive_iou", "rpn_negative_iou", "rpn_positive_fraction",
    "low_quality_matches", "roi_positive_iou", "roi_positive_fraction", "proposal_nms_iou", "detection_nms_iou",
    "score_threshold", "detector.proposals", "detector.roi_samples", "detector.frozen_stages",
)  # fmt: skip


def _model_text(recipe: Recipe) -> str:
    ours, counts = recipe.hyperparameters, recipe.counts
    values = {
        "backbone": recipe.configuration.detector.backbone,
        "anchor_sizes_px": ours.anchors.sizes_px,
        "anchor_ratios": ours.anchors.ratios,
        "anchor_offset": recipe.geometry.anchor_offset,
        **_pixels(recipe),
        "frozen_stages": counts.frozen_stages,
        "rpn_positive_iou": ours.rpn_positive_iou,
        "rpn_negative_iou": ours.rpn_negative_iou,
        "rpn_positive_fraction": ours.rpn_positive_fraction,
        "low_quality_matches": ours.low_quality_matches,
        "anchor_samples": counts.anchor_samples,
        "proposals_before_nms_train": counts.pre_nms_train,
        "proposals_before_nms_test": counts.pre_nms_test,
        "proposals_train": counts.proposals_train,
        "proposals_test": counts.proposals_test,
        "proposal_nms_iou": ours.proposal_nms_iou,
        "roi_positive_iou": ours.roi_positive_iou,
        "roi_positive_fraction": ours.roi_positive_fraction,
        "roi_samples": counts.roi_samples,
        "score_threshold": ours.score_threshold,
        "detection_nms_iou": ours.detection_nms_iou,
        "detections": counts.detections,
    }
    return f"MODEL = {call('Model', values)}\n"


def _pixels(recipe: Recipe) -> dict[str, object]:
    """Weights, and the pixels and the place of strides that they were trained with."""
    if recipe.configuration.detector.weights == "imagenet":
        return {
            "pixel_order": "RGB",
            "pixel_mean": tuple(FULL_SCALE * each for each in IMAGENET_MEAN),
            "pixel_std": tuple(FULL_SCALE * each for each in IMAGENET_STD),
            "stride_in_1x1": False,
            "weights": "imagenet",
        }
    return {
        "pixel_order": str(recipe.geometry.pixels.order),
        "pixel_mean": recipe.geometry.pixels.mean,
        "pixel_std": recipe.geometry.pixels.deviation,
        "stride_in_1x1": recipe.stride_in_1x1,
        "weights": "none",
    }


def weights_note(weights: str, *, imagenet: Note, coco: Note) -> Note:
    """What becomes of the weights where only a framework's own can be named."""
    match weights:
        case "none":
            return approximate("drawn by another generator of random numbers; batch norm is calibrated alike")
        case "imagenet":
            return imagenet
        case "coco":
            return coco
        case _:
            return not_expressed("a file of your own; give --weights FILE with values by this model's names")


def fidelity(recipe: Recipe) -> Fidelity:
    """Nearly all is exact: what torchvision does otherwise, the script replaces."""
    imagenet = approximate("torchvision's own ImageNet weights, with their pixels and their place of strides")
    coco = not_expressed("Detectron2's detector; give --weights FILE with values by this model's names")
    weights = weights_note(recipe.configuration.detector.weights, imagenet=imagenet, coco=coco)
    return training_notes(recipe) | exact(EXACT_KEYS) | {"detector.weights": weights}


def texts(recipe: Recipe, name: str) -> Texts:
    """The script and the module that it trains by."""
    settings = _model_text(recipe) + training_text(recipe)
    return {name: script(FILE, settings), MODULE: module_text()}


TORCHVISION = Framework(
    format="torchvision",
    title="torchvision",
    version="0.29.1",
    files=(FILE, MODULE),
    command=lambda _, name: f"python {shlex.quote(name)}",
    fidelity=fidelity,
    texts=texts,
)
