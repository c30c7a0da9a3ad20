"""pipeline.config of the TensorFlow Object Detection API in our vocabulary. It writes ratios as width / height."""

import re
from collections.abc import Iterator
from pathlib import Path

from detector.config import require
from search.imports.formats.tf_od_schedule import TfOdSchedule
from search.imports.formats.their_document import MISSING, TheirDocument
from search.imports.formats.their_prototext import parse_prototext
from search.imports.framework import Framework
from search.imports.imported import Difference, Imported, Resize, TheirBackbone
from search.imports.levels import Sizes, octave_scale
from search.imports.their_canvas import frame
from search.imports.wish import UNWRITABLE, Wish, fixed, same

MODEL, TRAIN = "model.faster_rcnn", "train_config"
GENERATOR = f"{MODEL}.first_stage_anchor_generator"
BUILT_IN = "the Object Detection API's own"
MOST_LEVELS = 10


def read_tf_od(text: str, file: Path, *, gpus: int, images: int) -> Imported:
    """The configuration in the file; its batch is that of all devices together.

    Raises:
        ConfigError: it is none of a Faster R-CNN, or a value is missing or of the wrong kind.
    """
    values, spans = parse_prototext(text, str(file))
    document = TheirDocument(source=str(file), values=values, spans=spans)
    kinds = document.find("model")
    found = ", ".join(kinds) if isinstance(kinds, dict) else "none"
    require(isinstance(document.find(MODEL), dict), f"{file}: must have a model.faster_rcnn, but has {found}")
    schedule = TfOdSchedule.of(document)
    sizes, strides = _anchors(document)
    return Imported(
        framework=Framework.TF_OD,
        source=str(file),
        gpus=gpus,
        sizes_px=sizes,
        strides_px=strides,
        ratios=_ratios(document),
        ratios_inverted=True,
        optimizer=schedule.optimizer,
        learning_rate=schedule.learning_rate,
        batch_size=document.whole(f"{TRAIN}.batch_size"),
        momentum=schedule.momentum,
        weight_decay=_weight_decay(document),
        clip_norm=document.number(f"{TRAIN}.gradient_clipping_by_norm", 0.0).becomes(lambda norm: norm or None, same),
        iterations=schedule.iterations,
        warmup_iterations=schedule.warmup_iterations,
        warmup_factor=schedule.warmup_factor,
        milestones=schedule.milestones,
        decay_factor=schedule.decay_factor,
        rpn_positive_iou=fixed(0.7, BUILT_IN),
        rpn_negative_iou=fixed(0.3, BUILT_IN),
        rpn_positive_fraction=document.number(f"{MODEL}.first_stage_positive_balance_fraction", 0.5),
        low_quality_matches=fixed(True, BUILT_IN),
        roi_positive_iou=fixed(0.5, BUILT_IN),
        roi_positive_fraction=document.number(f"{MODEL}.second_stage_balance_fraction", 0.25),
        proposal_nms_iou=document.number(f"{MODEL}.first_stage_nms_iou_threshold", 0.7),
        detection_nms_iou=document.number(f"{_NMS}.iou_threshold", 0.6),
        score_threshold=document.number(f"{_NMS}.score_threshold", 0.0),
        flip_probability=_flip(document),
        resize=_resize(document),
        backbone=_backbone(document),
        weights=document.text(f"{TRAIN}.fine_tune_checkpoint", ""),
        frozen_stages=fixed(0, f"{TRAIN}.freeze_variables"),
        norm_trains=document.flag(f"{MODEL}.feature_extractor.batch_norm_trainable", False),
        classes=document.whole(f"{MODEL}.num_classes"),
        differences=(*_differences(document, strides), *schedule.differences),
    )


_NMS = f"{MODEL}.second_stage_post_processing.batch_non_max_suppression"


def _kind(document: TheirDocument) -> str:
    for kind in ("grid_anchor_generator", "multiscale_anchor_generator", "flexible_grid_anchor_generator"):
        if document.find(f"{GENERATOR}.{kind}") is not MISSING:
            return f"{GENERATOR}.{kind}"
    return f"{GENERATOR}.grid_anchor_generator"


def _anchors(document: TheirDocument) -> tuple[Wish[Sizes], tuple[int, ...]]:
    """The sizes of each level, with the levels' strides."""
    key = _kind(document)
    if key.endswith(".multiscale_anchor_generator"):
        return _multiscale(document, key)
    if key.endswith(".flexible_grid_anchor_generator"):
        grids = list(document.items(f"{key}.anchor_grid"))
        require(0 < len(grids) <= MOST_LEVELS, f"{document.source}: {key} must have 1 to {MOST_LEVELS} anchor_grid")
        lists = [document.numbers(f"{grid}.base_sizes") for grid in grids]
        strides = tuple(document.whole(f"{grid}.height_stride").value for grid in grids)
        require(all(stride > 0 for stride in strides), f"{document.source}: {key}: strides must be positive")
        return lists[0].becomes(lambda _: tuple(tuple(dict.fromkeys(each.value)) for each in lists)), strides
    base, stride = document.number(f"{key}.height", 256), document.whole(f"{key}.height_stride", 16)
    if stride.value <= 0:
        raise document.refusal(stride, "must be positive")
    scales = document.numbers(f"{key}.scales", [1.0])
    return scales.becomes(lambda values: (tuple(base.value * scale for scale in values),)), (stride.value,)


def _multiscale(document: TheirDocument, key: str) -> tuple[Wish[Sizes], tuple[int, ...]]:
    low, high = document.whole(f"{key}.min_level", 3), document.whole(f"{key}.max_level", 7)
    scale, count = document.number(f"{key}.anchor_scale", 4.0), document.whole(f"{key}.scales_per_octave", 2)
    for wish, ok in ((low, low.value >= 0), (high, low.value <= high.value <= 12), (count, 1 <= count.value <= 64)):
        if not ok:
            raise document.refusal(wish, "must be a level or a count that there is")
    levels = range(low.value, high.value + 1)
    strides = tuple(2**level for level in levels)
    sizes = scale.becomes(
        lambda value: tuple(
            tuple(value * 2**level * 2 ** (number / count.value) for number in range(count.value)) for level in levels
        ),
        lambda sizes: octave_scale(sizes, strides, count.value),
    )
    return sizes, strides


def _ratios(document: TheirDocument) -> Wish[tuple[float, ...]]:
    """Height / width: theirs are the inverses."""
    key = _kind(document)
    if key.endswith(".flexible_grid_anchor_generator"):
        key = next(iter(document.items(f"{key}.anchor_grid")))
    ratios = document.numbers(f"{key}.aspect_ratios", [1.0])
    if not ratios.value or min(ratios.value) <= 0:
        raise document.refusal(ratios, "must be positive numbers")
    return ratios.becomes(
        lambda values: tuple(dict.fromkeys(1 / value for value in values)),
        lambda ours: UNWRITABLE if "anchor_grid" in key else tuple(1 / value for value in ours),
    )


def _weight_decay(document: TheirDocument) -> Wish[float]:
    key = f"{MODEL}.first_stage_box_predictor_conv_hyperparams.regularizer.l2_regularizer"
    absent = document.find(key) is MISSING
    return document.number(f"{key}.weight", 0.0 if absent else 1.0)


def _flip(document: TheirDocument) -> Wish[float]:
    for key in document.items(f"{TRAIN}.data_augmentation_options"):
        if document.find(f"{key}.random_horizontal_flip") is not MISSING:
            return document.number(f"{key}.random_horizontal_flip.probability", 0.5)
    return fixed(0.0, f"{TRAIN}.data_augmentation_options")


def _resize(document: TheirDocument) -> Wish[Resize] | None:
    key = f"{MODEL}.image_resizer"
    if document.find(f"{key}.fixed_shape_resizer") is not MISSING:
        height = document.number(f"{key}.fixed_shape_resizer.height", 300)
        width = document.number(f"{key}.fixed_shape_resizer.width", 300).value
        return height.becomes(lambda value: frame(value, width))
    if document.find(f"{key}.keep_aspect_ratio_resizer") is MISSING:
        return None
    short = document.number(f"{key}.keep_aspect_ratio_resizer.min_dimension", 600)
    most = document.number(f"{key}.keep_aspect_ratio_resizer.max_dimension", 1024)
    if min(short.value, most.value) <= 0:
        raise document.refusal(short, "must be positive, and max_dimension too")
    return short.becomes(lambda value: Resize(short_px=(value,), most_long_px=most.value))


def _backbone(document: TheirDocument) -> TheirBackbone:
    extractor = document.text(f"{MODEL}.feature_extractor.type", "none")
    depth = re.search(r"resnet(\d+)", extractor.value.replace("_", ""))
    words = f"ResNet-{depth[1]}" if depth else f"the backbone {extractor.value}"
    return TheirBackbone(theirs=extractor, words=words)


def _differences(document: TheirDocument, strides: tuple[int, ...]) -> Iterator[Difference]:
    yield from _backbone(document).differences()
    if len(strides) == 1:
        stride = document.whole(f"{_kind(document)}.height_stride", 16)
        yield Difference(theirs=stride, what=f"one map of stride {strides[0]}", instead="FPN, P2 to P6")
    if document.find(f"{MODEL}.image_resizer.fixed_shape_resizer") is not MISSING:
        height = document.number(f"{MODEL}.image_resizer.fixed_shape_resizer.height", 300)
        yield Difference(theirs=height, what="images stretched to one shape", instead="the aspect kept, and padding")
    if document.find(f"{MODEL}.second_stage_mask_prediction_loss_weight") is not MISSING:
        mask = document.number(f"{MODEL}.second_stage_mask_prediction_loss_weight")
        yield Difference(theirs=mask, what="a mask head", instead="boxes only")
