"""A YAML file of Detectron2, and a script for all that such a file cannot say."""

from typing import Any

from detector.config import FETCHED, NamedWeights, Optimizer
from detector.weight_files.download.model_zoo import PUBLISHED
from search.export.frameworks.fidelity import EXACT, Fidelity, approximate, exact
from search.export.frameworks.framework import Framework, Texts
from search.export.frameworks.recipe import Recipe
from search.export.frameworks.template import script
from search.export.frameworks.torch_training import MODULE, module_text, training_notes, training_text
from search.export.frameworks.torchvision import EXACT_KEYS, weights_note
from search.export.frameworks.yaml_file import yaml_file

FILE, SCRIPT = "detectron2.yaml", "detectron2_train.py"
#: The names by which Detectron2 knows its own files.
IMAGENET = "detectron2://ImageNetPretrained/MSRA/R-{}.pkl"
COCO = "detectron2://COCO-Detection/{}"
IMAGENET_MEAN = (103.53, 116.28, 123.675)  # BGR, of these files
LEVELS = ("p2", "p3", "p4", "p5", "p6")
TRAIN, TEST = "frcnn_search_train", "frcnn_search_validation"


def fidelity(recipe: Recipe) -> Fidelity:
    """Of both files together: nearly all is exact."""
    weights = weights_note(
        recipe.configuration.detector.weights,
        imagenet=approximate("Detectron2's own ImageNet weights, MSRA's"),
        coco=approximate("the same file, but all rows of classes begin anew, also those of COCO's names"),
    )
    return training_notes(recipe) | exact(EXACT_KEYS) | {"detector.weights": weights, "detector.backbone": EXACT}


def _weights(recipe: Recipe) -> str:
    match recipe.configuration.detector.weights:
        case NamedWeights.IMAGENET:
            return IMAGENET.format(recipe.resnet.depth)
        case NamedWeights.COCO:
            return COCO.format(PUBLISHED[recipe.configuration.detector.backbone])
        case _:
            return ""


def _model(recipe: Recipe) -> dict[str, Any]:
    ours, counts, detector = recipe.hyperparameters, recipe.counts, recipe.configuration.detector
    imagenet = detector.weights == NamedWeights.IMAGENET
    return {
        "META_ARCHITECTURE": "GeneralizedRCNN",
        "WEIGHTS": _weights(recipe),
        "MASK_ON": False,
        "PIXEL_MEAN": IMAGENET_MEAN if imagenet else recipe.geometry.pixels.mean,
        "PIXEL_STD": recipe.geometry.pixels.deviation,
        "BACKBONE": {"NAME": "build_resnet_fpn_backbone", "FREEZE_AT": counts.frozen_stages},
        "RESNETS": {
            "DEPTH": recipe.resnet.depth,
            "RES2_OUT_CHANNELS": recipe.resnet.channels[0],  # Detectron2's own is a bottleneck's, whatever the depth
            "OUT_FEATURES": ["res2", "res3", "res4", "res5"],
            "NORM": "FrozenBN",
            "STRIDE_IN_1X1": recipe.stride_in_1x1,
        },
        "FPN": {"IN_FEATURES": ["res2", "res3", "res4", "res5"], "OUT_CHANNELS": 256},
        "PROPOSAL_GENERATOR": {"NAME": "RPN", "MIN_SIZE": 0},
        "ANCHOR_GENERATOR": {
            "NAME": "DefaultAnchorGenerator",
            "SIZES": ours.anchors.sizes_px,
            "ASPECT_RATIOS": (ours.anchors.ratios,),
            "OFFSET": recipe.geometry.anchor_offset,
        },
        "RPN": {
            "IN_FEATURES": LEVELS,
            "IOU_THRESHOLDS": (ours.rpn_negative_iou, ours.rpn_positive_iou),
            "IOU_LABELS": (0, -1, 1),
            "BATCH_SIZE_PER_IMAGE": counts.anchor_samples,
            "POSITIVE_FRACTION": ours.rpn_positive_fraction,
            "BOUNDARY_THRESH": -1,
            "BBOX_REG_LOSS_TYPE": "smooth_l1",
            "SMOOTH_L1_BETA": 0.0,
            "PRE_NMS_TOPK_TRAIN": counts.pre_nms_train,
            "PRE_NMS_TOPK_TEST": counts.pre_nms_test,
            "POST_NMS_TOPK_TRAIN": counts.proposals_train,
            "POST_NMS_TOPK_TEST": counts.proposals_test,
            "NMS_THRESH": ours.proposal_nms_iou,
        },
        "ROI_HEADS": {
            "NAME": "StandardROIHeads",
            "IN_FEATURES": LEVELS[:4],
            "NUM_CLASSES": len(recipe.configuration.classes),
            "BATCH_SIZE_PER_IMAGE": counts.roi_samples,
            "POSITIVE_FRACTION": ours.roi_positive_fraction,
            "IOU_THRESHOLDS": (ours.roi_positive_iou,),
            "IOU_LABELS": (0, 1),
            "PROPOSAL_APPEND_GT": True,
            "SCORE_THRESH_TEST": ours.score_threshold,
            "NMS_THRESH_TEST": ours.detection_nms_iou,
        },
        "ROI_BOX_HEAD": {
            "NAME": "FastRCNNConvFCHead",
            "NUM_FC": 2,
            "FC_DIM": 1024,
            "POOLER_TYPE": "ROIAlignV2",
            "POOLER_RESOLUTION": 7,
            "POOLER_SAMPLING_RATIO": 2,
            "BBOX_REG_LOSS_TYPE": "smooth_l1",
            "SMOOTH_L1_BETA": 0.0,
        },
    }


def _document(recipe: Recipe) -> dict[str, Any]:
    ours = recipe.hyperparameters
    return {
        "VERSION": 2,
        "MODEL": _model(recipe),
        "INPUT": {
            "FORMAT": str(recipe.geometry.pixels.order),
            "MIN_SIZE_TRAIN": (recipe.short_side_px,),
            "MIN_SIZE_TRAIN_SAMPLING": "choice",
            "MAX_SIZE_TRAIN": recipe.long_side_px,
            "MIN_SIZE_TEST": recipe.short_side_px,
            "MAX_SIZE_TEST": recipe.long_side_px,
            "RANDOM_FLIP": "horizontal" if ours.augmentation.flip_probability > 0 else "none",
            "CROP": {"ENABLED": False},
        },
        "DATASETS": {"TRAIN": (TRAIN,), "TEST": (TEST,)},
        "DATALOADER": {"FILTER_EMPTY_ANNOTATIONS": True},
        "SOLVER": {
            "IMS_PER_BATCH": recipe.batch_size,
            "MAX_ITER": recipe.iterations,
            "BASE_LR": ours.learning_rate,
            "LR_SCHEDULER_NAME": "WarmupMultiStepLR",
            "STEPS": recipe.milestones,
            "GAMMA": ours.decay_factor,
            "WARMUP_METHOD": "linear",
            "WARMUP_ITERS": recipe.whole_warmup_iterations,
            "WARMUP_FACTOR": ours.warmup_factor,
            "MOMENTUM": ours.momentum,
            "NESTEROV": False,
            "WEIGHT_DECAY": ours.weight_decay,
            "CLIP_GRADIENTS": {"ENABLED": False},
        },
        "TEST": {"DETECTIONS_PER_IMAGE": recipe.counts.detections},
        "SEED": recipe.configuration.provenance.seed,
    }


def _alone(recipe: Recipe) -> str:
    """What the YAML file lacks where it is trained without the script."""
    ours, canvas = recipe.hyperparameters, recipe.configuration.detector.canvas
    lacking = [
        "the clipping norm (Detectron2 clips each parameter by itself)",
        "augmentation but for flips of one half",
        *(["Adam"] if ours.optimizer is Optimizer.ADAM else []),
        *(["rpn_lr_factor"] if ours.rpn_lr_factor != 1 else []),
        *(["low_quality_matches: false"] if not ours.low_quality_matches else []),
        *([f"a warm-up of {recipe.warmup_iterations:g} iterations"] if recipe.warmup_error else []),
        *(["the calibration of random weights"] if recipe.configuration.detector.weights not in FETCHED else []),
    ]
    turned = recipe.train.turned + recipe.validation.turned
    text = f"# Without {SCRIPT} this file lacks {', '.join(lacking)}.\n"
    if turned:
        of = recipe.train.count + recipe.validation.count
        text += f"# Nor does it scale the {turned} of {of} images onto {canvas} that lie otherwise than the canvas.\n"
    return text


def texts(recipe: Recipe, name: str) -> Texts:
    """The YAML file, the script and the module that it trains by."""
    settings = f"CONFIG_FILE = {name!r}\nLOW_QUALITY_MATCHES = {recipe.hyperparameters.low_quality_matches}\n"
    return {
        name: _alone(recipe) + yaml_file(_document(recipe)),
        SCRIPT: script(SCRIPT, settings + training_text(recipe)),
        MODULE: module_text(),
    }


DETECTRON2 = Framework(
    format="detectron2",
    title="Detectron2",
    version="0.6, source of June 2026",
    files=(FILE, SCRIPT, MODULE),
    command=lambda _, name: f"python {SCRIPT}",
    fidelity=fidelity,
    texts=texts,
)
