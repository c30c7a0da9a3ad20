"""A pipeline.config of the TensorFlow Object Detection API, and its label map."""

import shlex
from typing import Any

from detector.config import NEGATIVE_IOU, POSITIVE_IOU, STRIDES_PX, BackboneName, Optimizer, Precision, require
from search.export.frameworks.fidelity import Fidelity, Note, approximate, exact, not_expressed, unless
from search.export.frameworks.framework import Framework, Texts
from search.export.frameworks.geometry import require_anchors_amid_cells
from search.export.frameworks.protobuf_text import Name, protobuf_text
from search.export.frameworks.recipe import Recipe
from search.export.frameworks.tensorflow_notes import training_notes, unsaid

FILE, LABEL_MAP = "pipeline.config", "label_map.pbtxt"
ROI_POSITIVE_IOU = 0.5  # fixed there, as are the RPN's thresholds
ADAM_BETA_1 = 0.9  # fixed there, too
THEIR_RESNETS = (BackboneName.RESNET50, BackboneName.RESNET101)  # its third has 152 layers
BATCH_NORM = {"scale": True, "decay": 0.997, "epsilon": 0.001}  # as in the examples that come with it

EXACT_KEYS = (
    "anchors.sizes_px", "anchors.ratios", "lr_per_16", "warmup_factor", "decay_boundaries", "decay_factor",
    "clip_norm", "batch_size", "rpn_positive_fraction", "roi_positive_fraction", "proposal_nms_iou",
    "detection_nms_iou", "score_threshold", "optimizer", "augmentation.flip_probability", "augmentation.brightness",
    "detector.roi_samples",
)  # fmt: skip


def fidelity(recipe: Recipe) -> Fidelity:
    """Anchors and schedule are exact; the thresholds of matching are the framework's own."""
    require_anchors_amid_cells(recipe.configuration.detector, recipe.geometry, "tf-od")
    ours, detector = recipe.hyperparameters, recipe.configuration.detector
    _extractor(recipe)
    change = ours.augmentation
    by_adam = ours.optimizer is Optimizer.ADAM
    notes = training_notes(recipe)
    return exact(EXACT_KEYS) | notes | {
        "momentum": unless(ours.momentum == ADAM_BETA_1, not_expressed(f"beta 1 is {ADAM_BETA_1} there"))
        if by_adam
        else notes["momentum"],
        "rpn_positive_iou": _fixed(ours.rpn_positive_iou, POSITIVE_IOU),
        "rpn_negative_iou": _fixed(ours.rpn_negative_iou, NEGATIVE_IOU),
        "roi_positive_iou": _fixed(ours.roi_positive_iou, ROI_POSITIVE_IOU),
        "augmentation.contrast": unless(change.contrast == 0, approximate("about the mean of each channel")),
        "augmentation.hue": unless(change.hue == 0, approximate("turned in HSV, ours in YIQ")),
        "augmentation.saturation": unless(change.saturation == 0, approximate("scaled in HSV, ours in YIQ")),
        "augmentation.scale": unsaid(change.scale),
        "augmentation.crop": unsaid(change.crop),
        "augmentation.rotation_deg": unsaid(change.rotation_deg),
        "augmentation.visible_share": unless(
            not (change.scale or change.crop or change.rotation_deg), not_expressed("no box leaves its image there")
        ),
        "detector.canvas": _canvas_note(recipe),
        "detector.backbone": approximate(
            f"its own {recipe.resnet.title}, pixels in RGB; the pyramid has batch norm, too"
        ),
        "detector.precision": unless(detector.precision is Precision.FLOAT32, not_expressed("float32")),
        "detector.frozen_stages": unless(recipe.counts.frozen_stages == 0, not_expressed("all stages train")),
        "detector.proposals": approximate("after NMS; before NMS all anchors of all levels compete at once"),
    }  # fmt: skip


def _fixed(value: float, theirs: float) -> Note:
    return unless(value == theirs, not_expressed(f"fixed at {theirs:g} there"))


def _canvas_note(recipe: Recipe) -> Note:
    turned, of = (getattr(recipe.train, n) + getattr(recipe.validation, n) for n in ("turned", "count"))
    return unless(
        turned == 0, approximate(f"{turned} of {of} images lie otherwise than the canvas and are scaled otherwise")
    )


def _extractor(recipe: Recipe) -> str:
    """The name there of the backbone with its pyramid.

    Raises:
        ConfigError: it has none of that depth.
    """
    backbone = recipe.configuration.detector.backbone
    require(
        backbone in THEIR_RESNETS,
        f"tf-od has no {recipe.resnet.title}, so it would be another detector; export detectron2, mmdet, tfm or "
        "torchvision",
    )
    return f"faster_rcnn_{backbone}_fpn_keras"


def _hyperparams(operation: str, initializer: dict[str, Any], weight_decay: float) -> dict[str, Any]:
    # The regularizer is halved inside, so that its gradient is weight decay times weight.
    regularizer = {"l2_regularizer": {"weight": weight_decay}}
    return {
        "op": Name(operation),
        "activation": Name("RELU"),
        "regularizer": regularizer,
        "initializer": initializer,
    }


def _anchor_grids(recipe: Recipe) -> list[dict[str, Any]]:
    """One a level: sizes and ratios (width / height) are paired lists, an entry for each anchor of a cell."""
    anchors = recipe.hyperparameters.anchors
    return [
        {
            "base_sizes": [size for size in sizes for _ in anchors.ratios],
            "aspect_ratios": [1 / ratio for _ in sizes for ratio in anchors.ratios],
            "height_stride": stride,
            "width_stride": stride,
            "height_offset": stride // 2,
            "width_offset": stride // 2,
        }
        for sizes, stride in zip(anchors.sizes_px, STRIDES_PX, strict=True)
    ]


def _model(recipe: Recipe) -> dict[str, Any]:
    ours, counts = recipe.hyperparameters, recipe.counts
    normal = {"truncated_normal_initializer": {"stddev": 0.01}}
    scaled = {"variance_scaling_initializer": {"factor": 1.0, "uniform": True, "mode": Name("FAN_IN")}}
    nms = {
        "score_threshold": ours.score_threshold,
        "iou_threshold": ours.detection_nms_iou,
        "max_detections_per_class": counts.detections,
        "max_total_detections": counts.detections,
    }
    return {
        "num_classes": len(recipe.configuration.classes),
        "image_resizer": {
            "keep_aspect_ratio_resizer": {
                "min_dimension": recipe.short_side_px,
                "max_dimension": recipe.long_side_px,
                "pad_to_max_dimension": True,
            }
        },
        "feature_extractor": {
            "type": _extractor(recipe),
            "batch_norm_trainable": True,
            "fpn": {"min_level": 2, "max_level": 6},
            # These go for the backbone, too, which without batch norm here has none at all.
            "conv_hyperparams": {**_hyperparams("CONV", scaled, ours.weight_decay), "batch_norm": BATCH_NORM},
            "override_base_feature_extractor_hyperparams": True,
        },
        "first_stage_anchor_generator": {
            "flexible_grid_anchor_generator": {"anchor_grid": _anchor_grids(recipe), "normalize_coordinates": False}
        },
        "first_stage_box_predictor_conv_hyperparams": _hyperparams("CONV", normal, ours.weight_decay),
        "first_stage_box_predictor_depth": 256,
        "first_stage_minibatch_size": counts.anchor_samples,
        "first_stage_positive_balance_fraction": ours.rpn_positive_fraction,
        "first_stage_nms_score_threshold": 0.0,
        "first_stage_nms_iou_threshold": ours.proposal_nms_iou,
        "first_stage_max_proposals": counts.proposals_train,
        "first_stage_localization_loss_weight": 1.0,
        "first_stage_objectness_loss_weight": 1.0,
        "initial_crop_size": 7,
        "maxpool_kernel_size": 1,
        "maxpool_stride": 1,
        "second_stage_box_predictor": {
            "mask_rcnn_box_predictor": {
                "use_dropout": False,
                "fc_hyperparams": _hyperparams("FC", scaled, ours.weight_decay),
            }
        },
        "second_stage_batch_size": counts.roi_samples,
        "second_stage_balance_fraction": ours.roi_positive_fraction,
        "second_stage_post_processing": {"batch_non_max_suppression": nms, "score_converter": Name("SOFTMAX")},
        "second_stage_localization_loss_weight": 1.0,
        "second_stage_classification_loss_weight": 1.0,
    }  # fmt: skip


def _rate(recipe: Recipe) -> dict[str, Any]:
    """A rate holds from its step on; with warm-up, the first step is the one that reaches the peak."""
    peak, warmup = recipe.hyperparameters.learning_rate, recipe.whole_warmup_iterations
    steps = [{"step": first, "learning_rate": peak * factor} for first, factor in recipe.rate_steps]
    if warmup:
        start = peak * recipe.hyperparameters.warmup_factor
        reached = {"step": warmup, "learning_rate": peak}
        return {
            "manual_step_learning_rate": {
                "initial_learning_rate": start,
                "schedule": [reached, *steps],
                "warmup": True,
            }
        }
    if steps:
        return {"manual_step_learning_rate": {"initial_learning_rate": peak, "schedule": steps, "warmup": False}}
    return {"constant_learning_rate": {"learning_rate": peak}}


def _optimizer(recipe: Recipe) -> dict[str, Any]:
    ours = recipe.hyperparameters
    rate = {"learning_rate": _rate(recipe)}
    if ours.optimizer is Optimizer.ADAM:
        return {"adam_optimizer": {**rate, "epsilon": 1e-8}, "use_moving_average": False}
    return {
        "momentum_optimizer": {**rate, "momentum_optimizer_value": ours.momentum},
        "use_moving_average": False,
    }


def _changes(recipe: Recipe) -> list[dict[str, Any]]:
    change = recipe.hyperparameters.augmentation
    around = {
        "random_adjust_contrast": change.contrast,
        "random_adjust_saturation": change.saturation,
    }
    additive = {"random_adjust_brightness": change.brightness, "random_adjust_hue": change.hue}
    return [
        *([{"random_horizontal_flip": {"probability": change.flip_probability}}] if change.flip_probability else []),
        *({name: {"max_delta": strength}} for name, strength in additive.items() if strength),
        *(
            {name: {"min_delta": 1 - strength, "max_delta": 1 + strength}}
            for name, strength in around.items()
            if strength
        ),
    ]


def _reader(part: str, **more: object) -> dict[str, Any]:
    records = f"coco_{part}.record-?????-of-?????"  # as its own script names them
    return {"label_map_path": LABEL_MAP, **more, "tf_record_input_reader": {"input_path": [records]}}


def _pipeline(recipe: Recipe) -> dict[str, Any]:
    return {
        "model": {"faster_rcnn": _model(recipe)},
        "train_config": {
            "batch_size": recipe.batch_size,
            "num_steps": recipe.iterations,
            "optimizer": _optimizer(recipe),
            "gradient_clipping_by_norm": recipe.hyperparameters.clip_norm,
            "data_augmentation_options": _changes(recipe),
            "use_bfloat16": False,
        },
        "train_input_reader": _reader("train"),
        "eval_config": {"metrics_set": ["coco_detection_metrics"], "batch_size": 1, "use_moving_averages": False},
        "eval_input_reader": _reader("val", shuffle=False, num_epochs=1),
    }


def texts(recipe: Recipe, name: str) -> Texts:
    """The pipeline, and the classes from 1 on."""
    items = [{"id": number, "name": each} for number, each in enumerate(recipe.configuration.classes, start=1)]
    return {name: protobuf_text(_pipeline(recipe)), LABEL_MAP: protobuf_text({"item": items})}


def command(recipe: Recipe, name: str) -> str:
    """Writes the records, then trains."""
    train, validation = recipe.train, recipe.validation
    options = {
        "train_image_dir": train.images,
        "val_image_dir": validation.images,
        "test_image_dir": validation.images,
        "train_annotations_file": train.annotations,
        "val_annotations_file": validation.annotations,
        "testdev_annotations_file": validation.annotations,
        "output_dir": ".",
    }
    written = " ".join(f"--{key}={shlex.quote(value)}" for key, value in options.items())
    return (
        f"python -m object_detection.dataset_tools.create_coco_tf_record {written} && "
        f"python -m object_detection.model_main_tf2 --pipeline_config_path={shlex.quote(name)} --model_dir=trained"
    )


TF_OD = Framework(
    format="tf-od",
    title="the TensorFlow Object Detection API",
    version="2.8.0.post1",
    files=(FILE, LABEL_MAP),
    command=command,
    fidelity=fidelity,
    texts=texts,
)
