"""A configuration file of MMDetection 3: one file, literals only."""

import shlex
from typing import Any

from detector.config import BackboneName, NamedWeights, Optimizer, Precision
from search.export.frameworks.fidelity import (
    Fidelity,
    approximate,
    exact,
    not_expressed,
    unless,
)
from search.export.frameworks.framework import Framework, Texts
from search.export.frameworks.mmdet_model import model, scales
from search.export.frameworks.python_text import literal
from search.export.frameworks.recipe import Recipe, SplitFiles
from search.export.frameworks.warmup_note import warmup_note

FILE = "mmdet_config.py"
ZOO = "https://download.openmmlab.com/mmdetection/v2.0/faster_rcnn"
#: Of MSRA's ResNets, trained for 36 epochs.
COCO = {
    BackboneName.RESNET50: "faster_rcnn_r50_caffe_fpn_mstrain_3x_coco/"
    "faster_rcnn_r50_caffe_fpn_mstrain_3x_coco_20210526_095054-1f77628b.pth",
    BackboneName.RESNET101: "faster_rcnn_r101_caffe_fpn_mstrain_3x_coco/"
    "faster_rcnn_r101_caffe_fpn_mstrain_3x_coco_20210526_095742-a7ae426d.pth",
}
LEAST_START_FACTOR = 1e-8  # mmengine's must be above 0

EXACT_KEYS = (
    "anchors.sizes_px", "anchors.ratios", "optimizer", "lr_per_16", "rpn_lr_factor", "momentum", "weight_decay",
    "decay_boundaries", "decay_factor", "clip_norm", "batch_size", "rpn_positive_iou", "rpn_negative_iou",
    "rpn_positive_fraction", "roi_positive_iou", "roi_positive_fraction", "proposal_nms_iou", "detection_nms_iou",
    "score_threshold", "augmentation.flip_probability", "detector.canvas", "detector.backbone",
    "detector.proposals", "detector.roi_samples", "detector.frozen_stages",
)  # fmt: skip


def fidelity(recipe: Recipe) -> Fidelity:
    """Augmentation and the weights are approximate."""
    ours, detector = recipe.hyperparameters, recipe.configuration.detector
    scales(ours.anchors)
    change = ours.augmentation
    weights = {
        "none": approximate("random; batch norm trains, because nothing calibrates it"),
        "imagenet": approximate("MMDetection's copy of MSRA's weights, in place of keras.applications' copy"),
        "coco": approximate("MMDetection's own detector of this kind on COCO, in place of Detectron2's"),
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
    detector = recipe.configuration.detector
    return {
        "default_scope": "mmdet",
        "work_dir": "trained",
        "model": model(recipe),
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
        **({"load_from": f"{ZOO}/{COCO[detector.backbone]}"} if detector.weights == NamedWeights.COCO else {}),
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
