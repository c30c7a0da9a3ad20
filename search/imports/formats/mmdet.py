"""MMDetection 3's flattened Python file in our vocabulary. It counts images for each GPU, and mostly in epochs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from detector.config import Optimizer, require
from search.imports.formats.mmdet_schedule import MmdetSchedule
from search.imports.formats.their_document import MISSING, TheirDocument
from search.imports.formats.their_python import parse_python
from search.imports.framework import Framework
from search.imports.imported import Difference, Imported, Pixels, Resize, TheirBackbone
from search.imports.levels import common_scales
from search.imports.their_canvas import frame
from search.imports.wish import UNWRITABLE, Wish, fixed, same

RPN, RCNN, GENERATOR = "model.train_cfg.rpn", "model.train_cfg.rcnn", "model.rpn_head.anchor_generator"
DETECTORS = ("FasterRCNN", "MaskRCNN", "CascadeRCNN")
OPTIMIZER = "optim_wrapper.optimizer"
OWN_NAMES = ("CocoDataset", "VOCDataset")  # datasets that bring names of their own


def read_mmdet(text: str, file: Path, *, gpus: int, images: int) -> Imported:
    """The configuration in the file, trained on so many GPUs and images; it is never run.

    Raises:
        ConfigError: it builds on others, is a program, or is none of a Faster R-CNN.
    """
    values, spans = parse_python(text, str(file))
    require(
        "_base_" not in values,
        f"{file}: builds on others (_base_), and only MMDetection joins them; give the flattened copy, which every "
        "training leaves as work_dirs/NAME/TIME/vis_data/config.py",
    )
    document = TheirDocument(source=str(file), values=values, spans=spans)
    kind = document.text("model.type")
    require(kind.value in DETECTORS, f"{file}: {kind.place} is {kind.value!r:.40}, which is no Faster R-CNN")
    return _imported(document, file, gpus, images)


def _imported(document: TheirDocument, file: Path, gpus: int, images: int) -> Imported:
    strides = _strides(document)
    batch = _batch(document, gpus)
    schedule = MmdetSchedule.of(document, images=images * _repeats(document), batch=batch.value)
    optimizer = document.text(f"{OPTIMIZER}.type")
    rcnn = _first_of(document, RCNN)
    return Imported(
        framework=Framework.MMDET,
        source=str(file),
        gpus=gpus,
        sizes_px=_sizes(document, strides),
        strides_px=strides,
        ratios=document.numbers(f"{GENERATOR}.ratios"),
        optimizer=optimizer.becomes(lambda name: Optimizer.ADAM if "adam" in name.lower() else Optimizer.SGD),
        learning_rate=_rate(document, batch.value),
        batch_size=batch,
        momentum=_momentum(document, optimizer.value),
        weight_decay=document.number(f"{OPTIMIZER}.weight_decay", 0.0),
        clip_norm=_clip_norm(document),
        iterations=schedule.iterations,
        warmup_iterations=schedule.warmup_iterations,
        warmup_factor=schedule.warmup_factor,
        milestones=schedule.milestones,
        decay_factor=schedule.decay_factor,
        rpn_positive_iou=document.number(f"{RPN}.assigner.pos_iou_thr"),
        rpn_negative_iou=document.number(f"{RPN}.assigner.neg_iou_thr"),
        rpn_positive_fraction=document.number(f"{RPN}.sampler.pos_fraction"),
        low_quality_matches=document.flag(f"{RPN}.assigner.match_low_quality", True),
        least_best_iou=document.number(f"{RPN}.assigner.min_pos_iou", 0.0),
        roi_positive_iou=document.number(f"{rcnn}.assigner.pos_iou_thr"),
        roi_positive_fraction=document.number(f"{rcnn}.sampler.pos_fraction"),
        proposal_nms_iou=document.number("model.train_cfg.rpn_proposal.nms.iou_threshold", 0.7),
        detection_nms_iou=document.number("model.test_cfg.rcnn.nms.iou_threshold", 0.5),
        score_threshold=document.number("model.test_cfg.rcnn.score_thr", 0.05),
        rpn_lr_factor=_rpn_factor(document),
        flip_probability=_flip(document),
        resize=_resize(document),
        backbone=_backbone(document),
        weights=_weights(document),
        frozen_stages=document.whole("model.backbone.frozen_stages", -1).becomes(
            lambda stages: stages + 1, lambda stages: stages - 1
        ),
        norm_trains=_norm_trains(document),
        pixels=_pixels(document),
        classes=_classes(document),
        class_names=_names(document),
        names_needed=_needs_names(document),
        differences=tuple(_differences(document, optimizer, schedule)),
    )


def _first_of(document: TheirDocument, key: str) -> str:
    """The key of a mapping, or of the first one in a list (Cascade R-CNN)."""
    return next(iter(document.items(key)), key)


def _classes(document: TheirDocument) -> Wish[int]:
    """Of the first head; the others of Cascade R-CNN follow it."""
    heads = list(document.items("model.roi_head.bbox_head")) or ["model.roi_head.bbox_head"]
    first, *others = (document.whole(f"{head}.num_classes", 80) for head in heads)
    return replace(first, companions=tuple(others))


def _strides(document: TheirDocument) -> tuple[int, ...]:
    wish = document.wish(f"{GENERATOR}.strides")
    values = wish.value if isinstance(wish.value, list) else [wish.value]
    sides = [each[0] if isinstance(each, list) and each else each for each in values]
    if not sides or not all(isinstance(side, int) and 0 < side <= 1024 for side in sides):
        raise document.refusal(wish, "must be strides in pixels")
    return tuple(sides)


def _sizes(document: TheirDocument, strides: tuple[int, ...]) -> Wish[tuple[tuple[float, ...], ...]]:
    """Scales multiply the base sizes, which are the strides unless they are named."""
    if document.find(f"{GENERATOR}.octave_base_scale") is not MISSING:
        count = document.whole(f"{GENERATOR}.scales_per_octave", 1).value
        base = document.number(f"{GENERATOR}.octave_base_scale")
        if not 1 <= count <= 64:
            raise document.refusal(document.whole(f"{GENERATOR}.scales_per_octave"), "must be from 1 to 64")
        scales = base.becomes(lambda scale: tuple(scale * 2 ** (number / count) for number in range(count)))
    else:
        scales = document.numbers(f"{GENERATOR}.scales")
    named = document.find(f"{GENERATOR}.base_sizes") not in (MISSING, None)
    bases = document.numbers(f"{GENERATOR}.base_sizes").value if named else tuple(map(float, strides))
    octave = document.find(f"{GENERATOR}.octave_base_scale") is not MISSING
    return scales.becomes(
        lambda values: tuple(tuple(base * scale for scale in values) for base in bases),
        None if octave else lambda sizes: common_scales(sizes, bases),
    )


def _batch(document: TheirDocument, gpus: int) -> Wish[int]:
    each = document.whole("train_dataloader.batch_size")
    times = document.whole("optim_wrapper.accumulative_counts", 1).value
    parts = gpus * times
    return each.becomes(
        lambda images: images * parts, lambda batch: batch // parts if batch % parts == 0 else UNWRITABLE
    )


def _rate(document: TheirDocument, batch: int) -> Wish[float]:
    rate = document.number(f"{OPTIMIZER}.lr")
    if document.find("auto_scale_lr.enable") is not True:
        return rate
    base = document.number("auto_scale_lr.base_batch_size", 16)
    if base.value <= 0:
        raise document.refusal(base, "must be positive")
    return rate.becomes(lambda value: value * batch / base.value, lambda value: value * base.value / batch)


def _momentum(document: TheirDocument, optimizer: str) -> Wish[float]:
    if "adam" in optimizer.lower():
        betas = document.numbers(f"{OPTIMIZER}.betas", [0.9, 0.999])
        return betas.becomes(lambda values: values[0] if values else 0.9)
    return document.number(f"{OPTIMIZER}.momentum", 0.0)


def _clip_norm(document: TheirDocument) -> Wish[float | None]:
    key = "optim_wrapper.clip_grad"
    if document.find(key) in (MISSING, None):
        return document.wish(key, None).becomes(same, lambda norm: {"max_norm": norm, "norm_type": 2})
    return document.number(f"{key}.max_norm").becomes(lambda norm: norm, same)


def _rpn_factor(document: TheirDocument) -> Wish[float] | None:
    key = "optim_wrapper.paramwise_cfg.custom_keys.rpn_head.lr_mult"
    return document.number(key) if document.has(key) else None


def _dataset(document: TheirDocument) -> str:
    """The key of the innermost dataset: others repeat or balance it."""
    key = "train_dataloader.dataset"
    for _ in range(5):
        if isinstance(document.find(f"{key}.dataset"), dict):
            key = f"{key}.dataset"
    return key


def _repeats(document: TheirDocument) -> int:
    times = document.whole("train_dataloader.dataset.times", 1)
    if not 1 <= times.value <= 100_000:
        raise document.refusal(times, "must be from 1 to 100,000")
    return times.value


def _steps(document: TheirDocument, *kinds: str) -> Iterator[str]:
    """The keys of the pipeline's steps of those types."""
    for pipeline in (f"{_dataset(document)}.pipeline", "train_pipeline"):
        found = [key for key in document.items(pipeline) if document.find(f"{key}.type") in kinds]
        if found:
            yield from found
            return


def _flip(document: TheirDocument) -> Wish[float]:
    for key in _steps(document, "RandomFlip"):
        return document.number(f"{key}.prob", 0.0)
    return fixed(0.0, "train_pipeline")


def _resize(document: TheirDocument) -> Wish[Resize] | None:
    for key in _steps(document, "FixShapeResize"):
        size = frame(document.number(f"{key}.height").value, document.number(f"{key}.width").value)
        return replace(fixed(size, f"{key}.height"), line=document.number(f"{key}.height").line)
    for key in _steps(document, "Resize", "RandomResize", "RandomChoiceResize"):
        name = "scales" if document.find(f"{key}.type") == "RandomChoiceResize" else "scale"
        pairs = document.lists(f"{key}.{name}")
        if all(len(pair) == 2 and min(pair) > 0 for pair in pairs.value):
            return pairs.becomes(
                lambda values: Resize(short_px=tuple(map(min, values)), most_long_px=max(map(max, values)))
            )
    return None


def _weights(document: TheirDocument) -> Wish[str]:
    if isinstance(document.find("load_from"), str):
        return document.text("load_from")
    key = "model.backbone.init_cfg.checkpoint"
    return document.text(key, "") if document.find("model.backbone.init_cfg") else fixed("", key)


def _norm_trains(document: TheirDocument) -> Wish[bool]:
    kind = document.text("model.backbone.norm_cfg.type", "BN").value
    trains = document.flag("model.backbone.norm_eval", True)
    return trains.becomes(
        lambda frozen: not frozen and kind in ("BN", "SyncBN", "MMSyncBN"),
        lambda trains: UNWRITABLE if trains else True,
    )


def _pixels(document: TheirDocument) -> Pixels | None:
    key = "model.data_preprocessor"
    if not isinstance(document.find(f"{key}.mean"), list):
        return None
    rgb = document.flag(f"{key}.bgr_to_rgb", False)
    return Pixels(
        order=rgb.becomes(lambda turned: "RGB" if turned else "BGR", lambda order: order == "RGB"),
        mean=document.numbers(f"{key}.mean"),
        std=document.numbers(f"{key}.std"),
        white=255.0,
    )


def _names_key(document: TheirDocument) -> str:
    key = f"{_dataset(document)}.metainfo"
    upper = document.find(f"{key}.CLASSES") is not MISSING
    return f"{key}.{'CLASSES' if upper else 'classes'}"


def _names(document: TheirDocument) -> Wish[tuple[str, ...]]:
    """Of the training data; other datasets need the same."""
    datasets = [f"{name}_dataloader.dataset" for name in ("val", "test")]
    others = [f"{key}.metainfo.classes" for key in datasets if isinstance(document.find(key), dict)]
    companions = tuple(Wish(value=(), key=key, back=list) for key in others)
    return replace(document.names(_names_key(document), []), companions=companions)


def _needs_names(document: TheirDocument) -> Wish[bool]:
    kind = document.text(f"{_dataset(document)}.type", "")
    return replace(kind.becomes(lambda name: name in OWN_NAMES), key=_names_key(document))


def _backbone(document: TheirDocument) -> TheirBackbone:
    kind, depth = document.text("model.backbone.type", "ResNet"), document.wish("model.backbone.depth", 50)
    if kind.value != "ResNet":
        return TheirBackbone(theirs=kind, words=f"the backbone {kind.value}")
    return TheirBackbone(theirs=depth, words=f"ResNet-{depth.value}")


def _differences(document: TheirDocument, optimizer: Wish[str], schedule: MmdetSchedule) -> Iterator[Difference]:
    kind = document.text("model.type")
    yield from _backbone(document).differences()
    if kind.value != "FasterRCNN":
        yield Difference(theirs=kind, what=kind.value, instead="one box head and no masks")
    neck: Wish[Any] = document.wish("model.neck.type", "none")
    if neck.value != "FPN":
        yield Difference(theirs=neck, what=f"the neck {neck.value}", instead="FPN, P2 to P6")
    if optimizer.value not in ("SGD", "Adam"):
        known = "Adam, whose decay is in the gradient" if "adam" in optimizer.value.lower() else "SGD"
        yield Difference(theirs=optimizer, what=optimizer.value, instead=known)
    if document.find("model.backbone.norm_eval") is False:
        norm = document.flag("model.backbone.norm_eval")
        yield Difference(theirs=norm, what="batch norm that trains", instead="frozen batch norm")
    yield from schedule.differences
