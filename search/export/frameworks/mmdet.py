"""A configuration file of MMDetection 3: one file, literals only."""

import math
import shlex
from typing import Any

from detector.config import LEAST_BEST_IOU, STRIDES_PX, Anchors, Optimizer, Precision, require
from search.export.frameworks.fidelity import (
    Fidelity,
    Note,
    approximate,
    exact,
    not_expressed,
    unless,
)
from search.export.frameworks.framework import Framework, Texts
from search.export.frameworks.python_text import literal
from search.export.frameworks.recipe import PIXEL_MEAN, PIXEL_STD, Recipe, SplitFiles

FILE = "mmdet_config.py"
IMAGENET = "open-mmlab://detectron2/resnet50_caffe"  # the name by which MMDetection knows MSRA's weights
LEAST_START_FACTOR = 1e-8  # mmengine's must be above 0
SAME = 1e-9  # relative: sizes that differ by rounding are the same

EXACT_KEYS = (
    "anchors.sizes_px", "anchors.ratios", "optimizer", "lr_per_16", "rpn_lr_factor", "momentum", "weight_decay",
    "decay_boundaries", "decay_factor", "clip_norm", "batch_size", "rpn_positive_iou", "rpn_negative_iou",
    "rpn_positive_fraction", "roi_positive_iou", "roi_positive_fraction", "proposal_nms_iou", "detection_nms_iou",
    "score_threshold", "augmentation.flip_probability", "detector.canvas", "detector.backbone",
    "detector.proposals", "detector.roi_samples", "detector.frozen_stages",
)  # fmt: skip


def _scales(anchors: Anchors) -> tuple[float, ...]:
    """The sizes of each level by its first one: MMDetection has one list for all levels.

    Raises:
        ConfigError: the levels are not proportional.
    """
    relative = [[size / sizes[0] for size in sizes] for sizes in anchors.sizes_px]
    alike = all(
        math.isclose(one, other, rel_tol=SAME) for row in relative for one, other in zip(row, relative[0], strict=True)
    )
    require(
        alike,
        f"mmdet has one list of scales for all levels, but the anchor sizes {[list(s) for s in anchors.sizes_px]} are "
        "not proportional from level to level, so it would be another detector; export detectron2 or torchvision",
    )
    return tuple(relative[0])


def warmup_note(recipe: Recipe) -> Note:
    """Of a framework that counts whole iterations of warm-up."""
    error = recipe.warmup_error
    return unless(
        error < 1e-12,
        approximate(
            f"{recipe.whole_warmup_iterations} iterations in place of {recipe.warmup_iterations:.6g}; the rate is off "
            f"by at most {error:.2g} of its peak meanwhile"
        ),
    )


def fidelity(recipe: Recipe) -> Fidelity:
    """Augmentation and the weights are approximate."""
    ours, detector = recipe.hyperparameters, recipe.configuration.detector
    _scales(ours.anchors)
    change = ours.augmentation
    weights = {
        "none": approximate("random; batch norm trains, because nothing calibrates it"),
        "imagenet": approximate("MMDetection's copy of MSRA's weights, in place of keras.applications' copy"),
    }
    least = ours.warmup_factor < LEAST_START_FACTOR and recipe.warmup_iterations > 0
    return exact(EXACT_KEYS) | {
        "warmup_fraction": warmup_note(recipe),
        "warmup_factor": unless(not least, approximate(f"{LEAST_START_FACTOR:g}: mmengine's is above 0")),
        "low_quality_matches": unless(
            not ours.low_quality_matches,
            approximate("an anchor that is positive for a box's sake learns that box, not the one it overlaps most"),
        ),
        "augmentation.scale": unless(
            change.scale == 0, approximate("zoom about the upper left corner, its factor uniform")
        ),
        "augmentation.crop": unless(change.crop == 0, not_expressed("no shift but where zoomed in")),
        "augmentation.rotation_deg": unless(change.rotation_deg == 0, approximate("about the middle of the canvas")),
        "augmentation.brightness": unless(change.brightness == 0, approximate("multiplies, where ours adds")),
        "augmentation.contrast": unless(change.contrast == 0, approximate("about the mean of a grey that is rounded")),
        "augmentation.saturation": unless(change.saturation == 0, approximate("rounds and clips by itself")),
        "augmentation.hue": unless(change.hue == 0, not_expressed("only together with swapped channels")),
        "augmentation.visible_share": unless(not _moves(recipe), not_expressed("boxes count while anything is seen")),
        "detector.weights": weights.get(
            detector.weights, not_expressed("the file is in Keras's format; batch norm trains from random weights")
        ),
        "detector.precision": unless(
            detector.precision is Precision.FLOAT32, approximate("AmpOptimWrapper chooses which layers are bfloat16")
        ),
        "detector.micro_batch": unless(
            recipe.micro_batch == recipe.batch_size, not_expressed("the whole batch at once; it takes more memory")
        ),
    }


def _moves(recipe: Recipe) -> bool:
    """Whether boxes may leave the canvas."""
    change = recipe.hyperparameters.augmentation
    return bool(change.scale or change.crop or change.rotation_deg)


def _trains_norms(recipe: Recipe) -> bool:
    return recipe.configuration.detector.weights != "imagenet"


def _backbone(recipe: Recipe) -> dict[str, Any]:
    trains = _trains_norms(recipe)
    return {
        "type": "ResNet",
        "depth": 50,
        "num_stages": 4,
        "out_indices": (0, 1, 2, 3),
        "frozen_stages": recipe.counts.frozen_stages - 1,  # -1 is none, 0 the stem
        "norm_cfg": {"type": "BN", "requires_grad": trains},
        "norm_eval": not trains,
        "style": "caffe",  # the stride in the 1 × 1 convolution
        "init_cfg": None if trains else {"type": "Pretrained", "checkpoint": IMAGENET},
    }


def _loss(**more: object) -> dict[str, Any]:
    return {"type": "CrossEntropyLoss", "loss_weight": 1.0, **more}


def _coder(*stds: float) -> dict[str, Any]:
    return {"type": "DeltaXYWHBBoxCoder", "target_means": (0.0, 0.0, 0.0, 0.0), "target_stds": stds}


def _rpn_head(recipe: Recipe) -> dict[str, Any]:
    anchors = recipe.hyperparameters.anchors
    return {
        "type": "RPNHead",
        "in_channels": 256,
        "feat_channels": 256,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "strides": STRIDES_PX,
            "base_sizes": tuple(sizes[0] for sizes in anchors.sizes_px),
            "scales": _scales(anchors),
            "ratios": anchors.ratios,
            "centers": tuple((stride / 2, stride / 2) for stride in STRIDES_PX),
            "scale_major": False,
        },
        "bbox_coder": _coder(1.0, 1.0, 1.0, 1.0),
        "loss_cls": _loss(use_sigmoid=True),
        "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
    }


def _roi_head(recipe: Recipe) -> dict[str, Any]:
    return {
        "type": "StandardRoIHead",
        "bbox_roi_extractor": {
            "type": "SingleRoIExtractor",
            "roi_layer": {"type": "RoIAlign", "output_size": 7, "sampling_ratio": 2},
            "out_channels": 256,
            "featmap_strides": STRIDES_PX[:4],
        },
        "bbox_head": {
            "type": "Shared2FCBBoxHead",
            "in_channels": 256,
            "fc_out_channels": 1024,
            "roi_feat_size": 7,
            "num_classes": len(recipe.configuration.classes),
            "bbox_coder": _coder(0.1, 0.1, 0.2, 0.2),
            "reg_class_agnostic": False,
            "loss_cls": _loss(use_sigmoid=False),
            "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
        },
    }


def _assigner(positive: float, negative: float, least: float, low_quality: bool) -> dict[str, Any]:
    return {
        "type": "MaxIoUAssigner",
        "pos_iou_thr": positive,
        "neg_iou_thr": negative,
        "min_pos_iou": least,
        "match_low_quality": low_quality,
        "ignore_iof_thr": -1,
    }


def _sampler(count: int, fraction: float, with_truth: bool) -> dict[str, Any]:
    return {
        "type": "RandomSampler",
        "num": count,
        "pos_fraction": fraction,
        "neg_pos_ub": -1,
        "add_gt_as_proposals": with_truth,
    }


def _proposals(recipe: Recipe, before: int, after: int) -> dict[str, Any]:
    nms = {"type": "nms", "iou_threshold": recipe.hyperparameters.proposal_nms_iou}
    return {"nms_pre": before, "max_per_img": after, "nms": nms, "min_bbox_size": 0}


def _model(recipe: Recipe) -> dict[str, Any]:
    ours, counts = recipe.hyperparameters, recipe.counts
    threshold = ours.roi_positive_iou
    return {
        "type": "FasterRCNN",
        "data_preprocessor": {
            "type": "DetDataPreprocessor",
            "mean": list(PIXEL_MEAN),
            "std": list(PIXEL_STD),
            "bgr_to_rgb": False,
            "pad_size_divisor": 32,
        },
        "backbone": _backbone(recipe),
        "neck": {"type": "FPN", "in_channels": [256, 512, 1024, 2048], "out_channels": 256, "num_outs": 5},
        "rpn_head": _rpn_head(recipe),
        "roi_head": _roi_head(recipe),
        "train_cfg": {
            "rpn": {
                "assigner": _assigner(
                    ours.rpn_positive_iou, ours.rpn_negative_iou, LEAST_BEST_IOU, ours.low_quality_matches
                ),
                "sampler": _sampler(counts.anchor_samples, ours.rpn_positive_fraction, False),
                "allowed_border": -1,
                "pos_weight": -1,
                "debug": False,
            },
            "rpn_proposal": _proposals(recipe, counts.pre_nms_train, counts.proposals_train),
            "rcnn": {
                "assigner": _assigner(threshold, threshold, threshold, False),
                "sampler": _sampler(counts.roi_samples, ours.roi_positive_fraction, True),
                "pos_weight": -1,
                "debug": False,
            },
        },
        "test_cfg": {
            "rpn": _proposals(recipe, counts.pre_nms_test, counts.proposals_test),
            "rcnn": {
                "score_thr": ours.score_threshold,
                "nms": {"type": "nms", "iou_threshold": ours.detection_nms_iou},
                "max_per_img": counts.detections,
            },
        },
    }


def _letterbox(recipe: Recipe) -> dict[str, Any]:
    canvas = recipe.configuration.detector.canvas
    size = {"width": canvas.width_px, "height": canvas.height_px}
    return {"type": "FixShapeResize", **size, "keep_ratio": True}


def _train_pipeline(recipe: Recipe) -> list[dict[str, Any]]:
    change, canvas = recipe.hyperparameters.augmentation, recipe.configuration.detector.canvas
    steps: list[dict[str, Any]] = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True},
        _letterbox(recipe),
        {"type": "RandomFlip", "prob": change.flip_probability},
    ]
    if change.scale:
        largest = 1 + change.scale
        size = (canvas.width_px, canvas.height_px)
        steps += [
            {"type": "RandomResize", "scale": size, "ratio_range": (1 / largest, largest), "keep_ratio": True},
            {"type": "RandomCrop", "crop_size": (canvas.height_px, canvas.width_px), "allow_negative_crop": True},
        ]
    if change.rotation_deg:
        steps.append({"type": "Rotate", "prob": 1.0, "min_mag": 0.0, "max_mag": change.rotation_deg})
    colours = {"Brightness": change.brightness, "Contrast": change.contrast, "Color": change.saturation}
    for kind, strength in colours.items():
        if strength:
            steps.append({"type": kind, "prob": 1.0, "min_mag": 1 - strength, "max_mag": 1 + strength})
    if change.scale:
        steps.append({"type": "Pad", "size": (canvas.width_px, canvas.height_px)})
    return [*steps, {"type": "PackDetInputs"}]


def _test_pipeline(recipe: Recipe) -> list[dict[str, Any]]:
    kept = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
    return [
        {"type": "LoadImageFromFile"},
        _letterbox(recipe),
        {"type": "LoadAnnotations", "with_bbox": True},
        {"type": "PackDetInputs", "meta_keys": kept},
    ]


def _loader(recipe: Recipe, split: SplitFiles, *, trains: bool) -> dict[str, Any]:
    dataset = {
        "type": "CocoDataset",
        "ann_file": split.annotations,
        "data_prefix": {"img": f"{split.images}/"},
        "metainfo": {"classes": recipe.configuration.classes},
        "pipeline": _train_pipeline(recipe) if trains else _test_pipeline(recipe),
        **({"filter_cfg": {"filter_empty_gt": True, "min_size": 0}} if trains else {"test_mode": True}),
    }
    return {
        "batch_size": recipe.batch_size if trains else 1,
        "num_workers": 2,
        "persistent_workers": True,
        "drop_last": False,
        "sampler": {"type": "InfiniteSampler" if trains else "DefaultSampler", "shuffle": trains},
        "dataset": dataset,
    }


def _optimizer(recipe: Recipe) -> dict[str, Any]:
    ours = recipe.hyperparameters
    common = {"lr": ours.learning_rate, "weight_decay": ours.weight_decay}
    own = (
        {"type": "Adam", **common, "betas": (ours.momentum, 0.999), "eps": 1e-8}
        if ours.optimizer is Optimizer.ADAM
        else {"type": "SGD", **common, "momentum": ours.momentum}
    )
    half = recipe.configuration.detector.precision is Precision.BFLOAT16
    return {
        **({"type": "AmpOptimWrapper", "dtype": "bfloat16", "loss_scale": 1.0} if half else {"type": "OptimWrapper"}),
        "optimizer": own,
        "clip_grad": {"max_norm": ours.clip_norm, "norm_type": 2},
        "paramwise_cfg": {"custom_keys": {"rpn_head": {"lr_mult": ours.rpn_lr_factor}}},
    }


def _schedule(recipe: Recipe) -> list[dict[str, Any]]:
    ours, warmup = recipe.hyperparameters, recipe.whole_warmup_iterations
    steps: list[dict[str, Any]] = []
    if warmup:
        start = max(ours.warmup_factor, LEAST_START_FACTOR)
        # mmengine reaches the peak at end - 1
        steps.append({"type": "LinearLR", "start_factor": start, "by_epoch": False, "begin": 0, "end": warmup + 1})
    if recipe.milestones:
        decay = {"milestones": list(recipe.milestones), "gamma": ours.decay_factor}
        steps.append({"type": "MultiStepLR", "by_epoch": False, "begin": 0, "end": recipe.iterations, **decay})
    return steps


def _sections(recipe: Recipe) -> dict[str, Any]:
    evaluation = _loader(recipe, recipe.validation, trains=False)
    evaluator = {"type": "CocoMetric", "ann_file": recipe.validation.annotations, "metric": "bbox"}
    every = max(1, recipe.iterations // 10)
    return {
        "default_scope": "mmdet",
        "work_dir": "trained",
        "model": _model(recipe),
        "train_dataloader": _loader(recipe, recipe.train, trains=True),
        "val_dataloader": evaluation,
        "test_dataloader": evaluation,
        "val_evaluator": evaluator,
        "test_evaluator": evaluator,
        "optim_wrapper": _optimizer(recipe),
        "param_scheduler": _schedule(recipe),
        "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": recipe.iterations, "val_interval": every},
        "val_cfg": {"type": "ValLoop"},
        "test_cfg": {"type": "TestLoop"},
        "auto_scale_lr": {"enable": False, "base_batch_size": recipe.batch_size},
        "default_hooks": {"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": every}},
        "log_processor": {"by_epoch": False},
        "randomness": {"seed": recipe.configuration.provenance.seed % 2**31},
    }


def texts(recipe: Recipe, name: str) -> Texts:
    """The file, a section at a time."""
    return {name: "\n".join(f"{key} = {literal(value)}" for key, value in _sections(recipe).items()) + "\n"}


def command(recipe: Recipe, name: str) -> str:
    """Trains with MMEngine's runner, which comes with MMDetection."""
    program = (
        "from mmengine.config import Config; from mmengine.runner import Runner; "
        f"Runner.from_cfg(Config.fromfile({name!r})).train()"
    )
    return f"python -c {shlex.quote(program)}"


MMDET = Framework(
    format="mmdet",
    title="MMDetection",
    version="3.3.0",
    files=(FILE,),
    command=command,
    fidelity=fidelity,
    texts=texts,
)
