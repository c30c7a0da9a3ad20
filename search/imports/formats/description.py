"""The JSON of `describe` in our vocabulary. torchvision counts the background, and means are of pixels from 0 to 1."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from detector.config import STRIDES_PX, Optimizer, require
from detector.json_text import read_json
from search.imports.describe import FORMAT, VERSION
from search.imports.formats.their_document import TheirDocument
from search.imports.framework import Framework
from search.imports.imported import Difference, Imported, Pixels, Resize, TheirBackbone
from search.imports.levels import Sizes
from search.imports.wish import Wish, fixed

MOST_STEPS = 1000
ONE_MAP_STRIDE = 32


def read_description(text: str, file: Path, *, gpus: int, images: int) -> Imported:
    """The configuration that was described; its batch is that of all GPUs together.

    Raises:
        ConfigError: `describe` of this version did not write it.
    """
    try:
        values = read_json(text)
    except (ValueError, RecursionError):
        values = None
    require(
        isinstance(values, dict) and values.get("format") == FORMAT and values.get("version") == VERSION,
        f"{file}: is no description of torchvision's; write one in the training script with "
        "`from search.imports.describe import describe`",
    )
    document = TheirDocument(source=str(file), values=values)
    optimizer = document.text("optimizer.type")
    milestones, factor = _drops(document)
    warmup, first = _warmup(document)
    sizes = document.lists("model.anchors.sizes")
    pyramid = document.flag("model.backbone.pyramid").value
    return Imported(
        framework=Framework.TORCHVISION,
        source=str(file),
        gpus=gpus,
        sizes_px=sizes,
        strides_px=_strides(sizes, pyramid=pyramid),
        ratios=document.lists("model.anchors.aspect_ratios").becomes(
            lambda lists: lists[0], lambda ratios: [list(ratios)] * len(sizes.value)
        ),
        optimizer=optimizer.becomes(lambda name: Optimizer.ADAM if "adam" in name.lower() else Optimizer.SGD),
        learning_rate=document.number("optimizer.lr"),
        batch_size=document.whole("training.batch_size"),
        momentum=document.number("optimizer.momentum"),
        weight_decay=document.number("optimizer.weight_decay"),
        clip_norm=_clip_norm(document),
        iterations=document.number("training.iterations"),
        warmup_iterations=warmup,
        warmup_factor=first,
        milestones=milestones,
        decay_factor=factor,
        rpn_positive_iou=document.number("model.rpn.fg_iou_thresh"),
        rpn_negative_iou=document.number("model.rpn.bg_iou_thresh"),
        rpn_positive_fraction=document.number("model.rpn.positive_fraction"),
        low_quality_matches=fixed(True, "the RPN's Matcher"),
        roi_positive_iou=document.number("model.box.fg_iou_thresh"),
        roi_positive_fraction=document.number("model.box.positive_fraction"),
        proposal_nms_iou=document.number("model.rpn.nms_thresh"),
        detection_nms_iou=document.number("model.box.nms_thresh"),
        score_threshold=document.number("model.box.score_thresh"),
        rpn_lr_factor=document.number("optimizer.rpn_lr_factor"),
        flip_probability=document.number("training.flip_probability"),
        resize=_resize(document),
        backbone=_backbone(document),
        weights=document.text("training.weights"),
        frozen_stages=document.whole("model.backbone.frozen_stages"),
        norm_trains=document.flag("model.backbone.norm_trains"),
        pixels=Pixels(
            order=fixed("RGB", "PIL"),
            mean=document.numbers("model.image_mean"),
            std=document.numbers("model.image_std"),
            white=1.0,
        ),
        classes=document.whole("model.classes"),
        counts_background=True,
        differences=tuple(_differences(document, pyramid=pyramid)),
    )


def _strides(sizes: Wish[Sizes], *, pyramid: bool) -> tuple[int, ...]:
    """torchvision takes them from the maps: P2 and on with a pyramid, else one map's."""
    if not pyramid:
        return (ONE_MAP_STRIDE,) * len(sizes.value)
    return STRIDES_PX[: len(sizes.value)] if len(sizes.value) < len(STRIDES_PX) else STRIDES_PX


def _drops(document: TheirDocument) -> tuple[Wish[tuple[float, ...]], Wish[float]]:
    for key in document.items("schedulers"):
        kind = document.text(f"{key}.type").value
        if kind == "MultiStepLR":
            return document.numbers(f"{key}.milestones"), document.number(f"{key}.gamma")
        if kind == "StepLR":
            step, iterations = document.number(f"{key}.step_size"), document.number("training.iterations").value
            if step.value <= 0 or iterations / step.value > MOST_STEPS:
                raise document.refusal(step, "must be a part of the training")
            return step.becomes(_multiples(int(iterations // step.value))), document.number(f"{key}.gamma")
    return fixed((), "schedulers"), fixed(0.1, "schedulers")


def _multiples(count: int) -> Callable[[float], tuple[float, ...]]:
    return lambda size: tuple(size * number for number in range(1, count + 1))


def _warmup(document: TheirDocument) -> tuple[Wish[float], Wish[float]]:
    for key in document.items("schedulers"):
        if document.text(f"{key}.type").value == "LinearLR":
            return document.number(f"{key}.total_iters"), document.number(f"{key}.start_factor")
    return document.number("training.warmup_iterations"), document.number("training.warmup_factor")


def _clip_norm(document: TheirDocument) -> Wish[float | None]:
    wish = document.wish("training.clip_norm", None)
    return wish if wish.value is None else document.number("training.clip_norm").becomes(lambda norm: norm)


def _resize(document: TheirDocument) -> Wish[Resize]:
    short, most = document.numbers("model.min_size"), document.number("model.max_size")
    if not short.value or min(short.value) <= 0 or most.value <= 0:
        raise document.refusal(short, "must be positive, and max_size too")
    return short.becomes(lambda values: Resize(short_px=values, most_long_px=most.value))


def _backbone(document: TheirDocument) -> TheirBackbone:
    name = document.text("model.backbone.name")
    return TheirBackbone(theirs=name, words=name.value)


def _differences(document: TheirDocument, *, pyramid: bool) -> Iterator[Difference]:
    yield from _backbone(document).differences()
    if not pyramid:
        flag: Wish[Any] = document.flag("model.backbone.pyramid")
        yield Difference(theirs=flag, what="one map", instead="FPN, P2 to P6")
    if (mask := document.flag("model.mask")).value:
        yield Difference(theirs=mask, what="a mask head", instead="boxes only")
    if (trains := document.flag("model.backbone.norm_trains")).value:
        yield Difference(theirs=trains, what="batch norm that trains", instead="frozen batch norm")
    optimizer = document.text("optimizer.type")
    if optimizer.value not in ("SGD", "Adam"):
        known = "Adam, whose decay is in the gradient" if "adam" in optimizer.value.lower() else "SGD"
        yield Difference(theirs=optimizer, what=optimizer.value, instead=known)
    if (nesterov := document.flag("optimizer.nesterov")).value:
        yield Difference(theirs=nesterov, what="Nesterov's momentum", instead="plain momentum")
    for key in document.items("schedulers"):
        kind = document.text(f"{key}.type")
        if kind.value not in ("MultiStepLR", "StepLR", "LinearLR"):
            yield Difference(theirs=kind, what=kind.value, instead="a constant rate in its place")
    if len(set(map(tuple, document.lists("model.anchors.aspect_ratios").value))) > 1:
        ratios = document.lists("model.anchors.aspect_ratios")
        yield Difference(theirs=ratios, what="ratios that differ by level", instead="the first level's on each")
