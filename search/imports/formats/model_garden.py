"""The TensorFlow Model Garden's YAML of a Faster R-CNN in our vocabulary, over the experiment's own values.

Ratios are width / height; boundaries hold the old rate up to and including themselves; classes count the background.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detector.config import Optimizer, require
from search.imports.formats.their_document import TheirDocument
from search.imports.formats.their_yaml import parse_yaml
from search.imports.framework import Framework
from search.imports.imported import Difference, Imported, Resize, TheirBackbone
from search.imports.levels import Sizes, octave_scale
from search.imports.their_canvas import frame
from search.imports.wish import UNWRITABLE, Wish, fixed, same

EXPERIMENT = "fasterrcnn_resnetfpn_coco"
OWN_CHECKPOINT = "the experiment's own ResNet-50"

#: Of the experiment, where a file is silent.
DEFAULTS: dict[str, Any] = {
    "task": {
        "init_checkpoint": OWN_CHECKPOINT,
        "freeze_backbone": False,
        "model": {
            "num_classes": 91,
            "input_size": [1024, 1024, 3],
            "min_level": 2,
            "max_level": 6,
            "include_mask": False,
            "anchor": {"num_scales": 1, "aspect_ratios": [0.5, 1.0, 2.0], "anchor_size": 8.0},
            "roi_generator": {"nms_iou_threshold": 0.7},
            "roi_sampler": {"foreground_fraction": 0.25, "foreground_iou_threshold": 0.5},
            "detection_generator": {"nms_iou_threshold": 0.5, "pre_nms_score_threshold": 0.05},
            "backbone": {"type": "resnet", "resnet": {"model_id": 50}},
            "norm_activation": {"use_sync_bn": True},
        },
        "losses": {"l2_weight_decay": 0.00004},
        "train_data": {
            "global_batch_size": 64,
            "parser": {
                "aug_rand_hflip": True,
                "aug_scale_min": 0.8,
                "aug_scale_max": 1.25,
                "rpn_match_threshold": 0.7,
                "rpn_unmatched_threshold": 0.3,
                "rpn_fg_fraction": 0.5,
            },
        },
    },
    "trainer": {
        "train_steps": 22500,
        "optimizer_config": {
            "optimizer": {"type": "sgd", "sgd": {"momentum": 0.9}, "adam": {"beta_1": 0.9}},
            "learning_rate": {
                "type": "stepwise",
                "stepwise": {"boundaries": [15000, 20000], "values": [0.12, 0.012, 0.0012]},
            },
            "warmup": {"type": "linear", "linear": {"warmup_steps": 500, "warmup_learning_rate": 0.0067}},
        },
    },
}
MODEL, PARSER = "task.model", "task.train_data.parser"
CONFIG = "trainer.optimizer_config"
STEPWISE, WARMUP = f"{CONFIG}.learning_rate.stepwise", f"{CONFIG}.warmup"


def read_model_garden(text: str, file: Path, *, gpus: int, images: int) -> Imported:
    """The configuration in the file; its batch is that of all devices together.

    Raises:
        ConfigError: a value is missing or of the wrong kind.
    """
    values, spans = parse_yaml(text, str(file))
    document = TheirDocument(source=str(file), values=values, spans=spans, defaults=DEFAULTS)
    sizes, strides = _anchors(document)
    optimizer = document.text(f"{CONFIG}.optimizer.type")
    rate, milestones, factor = _steps(document)
    warmup, first = _warmup(document, rate.value)
    batch = document.whole("task.train_data.global_batch_size")
    is_adam = optimizer.value.startswith("adam")
    return Imported(
        framework=Framework.TFM,
        source=str(file),
        gpus=gpus,
        sizes_px=sizes,
        strides_px=strides,
        ratios=_ratios(document),
        ratios_inverted=True,
        optimizer=optimizer.becomes(lambda name: Optimizer.ADAM if is_adam else Optimizer.SGD),
        learning_rate=rate,
        batch_size=batch,
        momentum=document.number(f"{CONFIG}.optimizer.adam.beta_1" if is_adam else f"{CONFIG}.optimizer.sgd.momentum"),
        weight_decay=document.number("task.losses.l2_weight_decay"),
        clip_norm=_clip_norm(document, "adam" if is_adam else "sgd"),
        iterations=document.number("trainer.train_steps"),
        warmup_iterations=warmup,
        warmup_factor=first,
        milestones=milestones,
        decay_factor=factor,
        rpn_positive_iou=document.number(f"{PARSER}.rpn_match_threshold"),
        rpn_negative_iou=document.number(f"{PARSER}.rpn_unmatched_threshold"),
        rpn_positive_fraction=document.number(f"{PARSER}.rpn_fg_fraction"),
        low_quality_matches=fixed(True, "the labeler's force_match"),
        roi_positive_iou=document.number(f"{MODEL}.roi_sampler.foreground_iou_threshold"),
        roi_positive_fraction=document.number(f"{MODEL}.roi_sampler.foreground_fraction"),
        proposal_nms_iou=document.number(f"{MODEL}.roi_generator.nms_iou_threshold"),
        detection_nms_iou=document.number(f"{MODEL}.detection_generator.nms_iou_threshold"),
        score_threshold=document.number(f"{MODEL}.detection_generator.pre_nms_score_threshold"),
        flip_probability=document.flag(f"{PARSER}.aug_rand_hflip").becomes(
            lambda flips: 0.5 if flips else 0.0, lambda share: {0.5: True, 0.0: False}.get(share, UNWRITABLE)
        ),
        resize=_resize(document),
        weights=document.text("task.init_checkpoint"),
        backbone=_backbone(document),
        frozen_stages=document.flag("task.freeze_backbone").becomes(lambda frozen: 5 if frozen else 0),
        norm_trains=document.flag("task.freeze_backbone").becomes(lambda frozen: not frozen),
        classes=document.whole(f"{MODEL}.num_classes"),
        counts_background=True,
        differences=tuple(_differences(document)),
    )


def _anchors(document: TheirDocument) -> tuple[Wish[Sizes], tuple[int, ...]]:
    """Sizes of size · stride · 2^(i / n), an octave in all."""
    low, high = document.whole(f"{MODEL}.min_level"), document.whole(f"{MODEL}.max_level")
    count, size = document.whole(f"{MODEL}.anchor.num_scales"), document.number(f"{MODEL}.anchor.anchor_size")
    for wish, ok in ((low, low.value >= 0), (high, low.value <= high.value <= 12), (count, 1 <= count.value <= 64)):
        if not ok:
            raise document.refusal(wish, "must be a level or a count that there is")
    strides = tuple(2**level for level in range(low.value, high.value + 1))
    sizes = size.becomes(
        lambda value: tuple(
            tuple(value * stride * 2 ** (number / count.value) for number in range(count.value)) for stride in strides
        ),
        lambda sizes: octave_scale(sizes, strides, count.value),
    )
    return sizes, strides


def _ratios(document: TheirDocument) -> Wish[tuple[float, ...]]:
    """Height / width: theirs are the inverses."""
    ratios = document.numbers(f"{MODEL}.anchor.aspect_ratios")
    if not ratios.value or min(ratios.value) <= 0:
        raise document.refusal(ratios, "must be positive numbers")
    return ratios.becomes(_inverses, _inverses)


def _inverses(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(1 / value for value in values)


def _steps(document: TheirDocument) -> tuple[Wish[float], Wish[tuple[float, ...]], Wish[float]]:
    """The peak, the first iterations of the lower rates, and the factor of the first drop."""
    kind = document.text(f"{CONFIG}.learning_rate.type")
    key = f"{CONFIG}.learning_rate.{kind.value}"
    if kind.value != "stepwise":
        name = "learning_rate" if kind.value == "constant" else "initial_learning_rate"
        return document.number(f"{key}.{name}"), fixed((), key), fixed(0.1, key)
    boundaries, values = document.numbers(f"{STEPWISE}.boundaries"), document.numbers(f"{STEPWISE}.values")
    require(
        len(values.value) == len(boundaries.value) + 1,
        f"{document.source}: {values.place} must be one value more than {STEPWISE}.boundaries",
    )
    peak = values.becomes(
        lambda rates: rates[0], lambda rate: tuple(each * rate / values.value[0] for each in values.value)
    )
    drops = len(values.value) > 1 and peak.value > 0
    factor = values.becomes(
        lambda rates: rates[1] / rates[0] if drops else 0.1,
        lambda by: tuple(values.value[0] * by**number for number in range(len(values.value))),
    )
    milestones = boundaries.becomes(
        lambda steps: tuple(step + 1 for step in steps),
        lambda ours: tuple(step - 1 for step in ours) if len(ours) == len(boundaries.value) else UNWRITABLE,
    )
    return peak, milestones, factor


def _warmup(document: TheirDocument, peak: float) -> tuple[Wish[float], Wish[float]]:
    kind = document.text(f"{WARMUP}.type")
    if kind.value != "linear":
        return kind.becomes(lambda _: 0.0), fixed(0.0, f"{WARMUP}.type")
    start = document.number(f"{WARMUP}.linear.warmup_learning_rate")
    return (
        document.number(f"{WARMUP}.linear.warmup_steps"),
        start.becomes(lambda rate: rate / peak if peak > 0 else 0.0, lambda share: share * peak),
    )


def _clip_norm(document: TheirDocument, optimizer: str) -> Wish[float | None]:
    key = f"{CONFIG}.optimizer.{optimizer}.global_clipnorm"
    if document.wish(key, None).value is None:
        return document.wish(key, None)
    return document.number(key).becomes(lambda norm: norm, same)


def _resize(document: TheirDocument) -> Wish[Resize]:
    size = document.numbers(f"{MODEL}.input_size")
    if len(size.value) not in (2, 3) or min(size.value) <= 0:
        raise document.refusal(size, "must be height, width and channels")
    return size.becomes(lambda sides: frame(sides[0], sides[1]))


def _backbone(document: TheirDocument) -> TheirBackbone:
    kind = document.text(f"{MODEL}.backbone.type")
    if kind.value != "resnet":
        return TheirBackbone(theirs=kind, words=f"the backbone {kind.value}")
    depth = document.wish(f"{MODEL}.backbone.resnet.model_id")
    return TheirBackbone(theirs=depth, words=f"ResNet-{depth.value}")


def _differences(document: TheirDocument) -> Iterator[Difference]:
    yield from _backbone(document).differences()
    if (mask := document.flag(f"{MODEL}.include_mask")).value:
        yield Difference(theirs=mask, what="a mask head", instead="boxes only")
    for key, ours in ((f"{CONFIG}.learning_rate.type", ("stepwise", "constant")), (f"{WARMUP}.type", ("linear",))):
        if (kind := document.text(key)).value not in ours:
            yield Difference(theirs=kind, what=f"{kind.value or 'no'} {key.split('.')[2]}", instead="none of it")
    optimizer = document.text(f"{CONFIG}.optimizer.type")
    if optimizer.value not in ("sgd", "adam"):
        yield Difference(theirs=optimizer, what=optimizer.value, instead="SGD or Adam as PyTorch has it")
    frozen = document.flag("task.freeze_backbone")
    if not frozen.value:
        yield Difference(theirs=frozen, what="batch norm that trains", instead="frozen batch norm")
    low, high = document.number(f"{PARSER}.aug_scale_min"), document.number(f"{PARSER}.aug_scale_max")
    if (low.value, high.value) != (1.0, 1.0):
        what = f"zoom from {low.value:g} to {high.value:g}"
        yield Difference(theirs=low, what=what, instead="none; an augmentation of the space has it")
