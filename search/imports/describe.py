"""A torchvision Faster R-CNN, its optimizer and its scheduler as the JSON that `--from` reads.

Called in the user's own training script, where torch is; only attributes are looked at, and nothing is imported but the
standard library:

    from search.imports.describe import describe
    describe(model, optimizer, scheduler, batch_size=4, iterations=9_000, path="mine.json")
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FORMAT, VERSION = "frcnn-search torchvision description", 1
STAGES = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))  # of torchvision's ResNet


def describe(
    model: Any,
    optimizer: Any,
    scheduler: Any = None,
    *,
    batch_size: int,
    iterations: int,
    iterations_per_epoch: int | None = None,
    warmup_iterations: int = 0,
    warmup_factor: float = 0.001,
    clip_norm: float | None = None,
    flip_probability: float = 0.5,
    weights: str = "",
    classes: Iterable[str] = (),
    path: str | Path | None = None,
) -> str:
    """The description, which is also written to `path`.

    `batch_size` is of all GPUs together and `iterations` of the whole training. A scheduler that steps once an epoch
    needs `iterations_per_epoch`; of several, give a list. What a script does without a scheduler of torch's (a warm-up
    by hand, clipping, flips) is told by the arguments; `weights` says what training starts from: empty is random.

    Raises:
        ValueError: the model has not the parts of a Faster R-CNN of torchvision's.
    """
    try:
        document = {
            "format": FORMAT,
            "version": VERSION,
            "model": _model(model),
            "optimizer": _optimizer(optimizer, model),
            "schedulers": [_scheduler(each, iterations_per_epoch or 1) for each in _flat(scheduler)],
            "training": {
                "batch_size": int(batch_size),
                "iterations": int(iterations),
                "warmup_iterations": float(warmup_iterations),
                "warmup_factor": float(warmup_factor),
                "clip_norm": None if clip_norm is None else float(clip_norm),
                "flip_probability": float(flip_probability),
                "weights": str(weights),
                "classes": [str(name) for name in classes],
            },
        }
    except AttributeError as error:
        raise ValueError(f"describe needs a FasterRCNN of torchvision's with its optimizer, but {error}") from error
    text = json.dumps(document, indent=2) + "\n"
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def _model(model: Any) -> dict[str, Any]:
    rpn, heads, transform = model.rpn, model.roi_heads, model.transform
    return {
        "type": type(model).__name__,
        "backbone": _backbone(model.backbone),
        "classes": int(heads.box_predictor.cls_score.out_features),
        "mask": getattr(heads, "mask_head", None) is not None,
        "min_size": _numbers(transform.min_size),
        "max_size": float(transform.max_size),
        "fixed_size": _numbers(getattr(transform, "fixed_size", None) or ()),
        "image_mean": _numbers(transform.image_mean),
        "image_std": _numbers(transform.image_std),
        "anchors": {
            "sizes": [_numbers(sizes) for sizes in rpn.anchor_generator.sizes],
            "aspect_ratios": [_numbers(ratios) for ratios in rpn.anchor_generator.aspect_ratios],
        },
        "rpn": {
            "fg_iou_thresh": float(rpn.proposal_matcher.high_threshold),
            "bg_iou_thresh": float(rpn.proposal_matcher.low_threshold),
            "positive_fraction": float(rpn.fg_bg_sampler.positive_fraction),
            "batch_size_per_image": int(rpn.fg_bg_sampler.batch_size_per_image),
            "nms_thresh": float(rpn.nms_thresh),
        },
        "box": {
            "fg_iou_thresh": float(heads.proposal_matcher.high_threshold),
            "positive_fraction": float(heads.fg_bg_sampler.positive_fraction),
            "batch_size_per_image": int(heads.fg_bg_sampler.batch_size_per_image),
            "score_thresh": float(heads.score_thresh),
            "nms_thresh": float(heads.nms_thresh),
        },
    }


def _backbone(backbone: Any) -> dict[str, Any]:
    """Its name by the blocks that it has, which of its stages are frozen, and whether a batch norm of it trains."""
    body = getattr(backbone, "body", backbone)
    layer3 = getattr(body, "layer3", None)
    blocks = len(layer3) if layer3 is not None else 0
    bottleneck = layer3 is not None and type(layer3[0]).__name__ == "Bottleneck"
    names = {
        (2, False): "ResNet-18",
        (6, False): "ResNet-34",
        (6, True): "ResNet-50",
        (23, True): "ResNet-101",
        (36, True): "ResNet-152",
    }
    norms = [type(module).__name__ for module in body.modules()]
    return {
        "name": names.get((blocks, bottleneck), type(body).__name__),
        "pyramid": hasattr(backbone, "fpn"),
        "frozen_stages": _frozen_stages(body),
        "norm_trains": any(name in ("BatchNorm2d", "SyncBatchNorm") for name in norms),
    }


def _frozen_stages(body: Any) -> int:
    frozen = 0
    for names in STAGES:
        parts = [getattr(body, name) for name in names if hasattr(body, name)]
        own = [parameter for part in parts for parameter in part.parameters()]
        if not own or any(parameter.requires_grad for parameter in own):
            break
        frozen += 1
    return frozen


def _optimizer(optimizer: Any, model: Any) -> dict[str, Any]:
    """Of the group with the most parameters; the RPN's own factor where its parameters are a group of their own."""
    groups = list(optimizer.param_groups)
    largest = max(groups, key=lambda group: len(group["params"]))
    of_rpn = {id(parameter) for parameter in model.rpn.parameters()}
    own = [group for group in groups if group["params"] and all(id(each) in of_rpn for each in group["params"])]
    rate = _rate(largest)
    return {
        "type": type(optimizer).__name__,
        "lr": rate,
        "rpn_lr_factor": _rate(own[0]) / rate if own and rate and len(own) < len(groups) else 1.0,
        "momentum": float(largest["betas"][0] if "betas" in largest else largest.get("momentum", 0.0)),
        "weight_decay": float(largest.get("weight_decay", 0.0)),
        "nesterov": bool(largest.get("nesterov", False)),
    }


def _rate(group: Mapping[str, Any]) -> float:
    """The rate before any scheduler changed it."""
    return float(group.get("initial_lr", group["lr"]))


def _flat(scheduler: Any) -> list[Any]:
    """The schedulers, also those that others hold."""
    if scheduler is None:
        return []
    if isinstance(scheduler, list | tuple):
        return [inner for each in scheduler for inner in _flat(each)]
    return _flat(list(scheduler._schedulers)) if hasattr(scheduler, "_schedulers") else [scheduler]


def _scheduler(scheduler: Any, each: int) -> dict[str, Any]:
    """Its numbers; lengths in iterations."""
    name = type(scheduler).__name__
    if name == "MultiStepLR":
        milestones = sorted(scheduler.milestones.elements())
        return {"type": name, "milestones": [float(m * each) for m in milestones], "gamma": float(scheduler.gamma)}
    if name == "StepLR":
        return {"type": name, "step_size": float(scheduler.step_size * each), "gamma": float(scheduler.gamma)}
    if name == "LinearLR":  # a warm-up steps every iteration, whatever the others do
        return {
            "type": name,
            "start_factor": float(scheduler.start_factor),
            "total_iters": float(scheduler.total_iters),
        }
    return {"type": name}


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in (values if isinstance(values, Iterable) else (values,))]
