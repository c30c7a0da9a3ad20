"""Detectron2's YAML in our vocabulary. Ratios are height / width there, too, and IMS_PER_BATCH counts all GPUs."""

from collections.abc import Iterator
from pathlib import Path

from detector.config import ConfigError, Optimizer
from detector.resnets import WIDTHS
from search.imports.formats.detectron2_file import detectron2_document
from search.imports.formats.their_document import TheirDocument
from search.imports.framework import Framework
from search.imports.imported import Difference, Imported, Pixels, Resize, TheirBackbone
from search.imports.wish import UNWRITABLE, Wish, fixed, same

STRIDES = {"p2": 4, "p3": 8, "p4": 16, "p5": 32, "p6": 64, "p7": 128}
STRIDES |= {"res2": 4, "res3": 8, "res4": 16, "res5": 32}
SIZES, RATIOS = "MODEL.ANCHOR_GENERATOR.SIZES", "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS"
NORM, WEIGHTS = "MODEL.RESNETS.NORM", "MODEL.WEIGHTS"
TRAINING_NORMS = ("BN", "SyncBN", "nnSyncBN", "naiveSyncBN", "naiveSyncBN_N")


def read_detectron2(text: str, file: Path, *, gpus: int, images: int) -> Imported:
    """The configuration in the file; every image count of Detectron2's is of all GPUs together.

    Raises:
        ConfigError: it is none of a Faster R-CNN, or a value is of the wrong kind.
    """
    document = detectron2_document(text, file)
    return _imported(document, file, gpus)


def _imported(document: TheirDocument, file: Path, gpus: int) -> Imported:
    _require_faster_rcnn(document)
    strides = _strides(document)
    thresholds = document.numbers("MODEL.RPN.IOU_THRESHOLDS")
    if len(thresholds.value) != 2:
        raise document.refusal(thresholds, "must be two numbers")
    return Imported(
        framework=Framework.DETECTRON2,
        source=str(file),
        gpus=gpus,
        sizes_px=document.lists(SIZES).becomes(lambda lists: _for_each(lists, len(strides)), same),
        strides_px=strides,
        ratios=document.lists(RATIOS).becomes(lambda lists: lists[0], lambda ratios: (ratios,)),
        optimizer=fixed(Optimizer.SGD, "torch.optim.SGD"),
        learning_rate=document.number("SOLVER.BASE_LR"),
        batch_size=document.whole("SOLVER.IMS_PER_BATCH"),
        momentum=document.number("SOLVER.MOMENTUM"),
        weight_decay=document.number("SOLVER.WEIGHT_DECAY"),
        clip_norm=_clip_norm(document),
        iterations=document.number("SOLVER.MAX_ITER"),
        warmup_iterations=document.number("SOLVER.WARMUP_ITERS"),
        warmup_factor=document.number("SOLVER.WARMUP_FACTOR"),
        milestones=document.numbers("SOLVER.STEPS"),
        decay_factor=document.number("SOLVER.GAMMA"),
        rpn_positive_iou=thresholds.becomes(lambda pair: pair[1], lambda iou: (thresholds.value[0], iou)),
        rpn_negative_iou=thresholds.becomes(lambda pair: pair[0], lambda iou: (iou, thresholds.value[1])),
        rpn_positive_fraction=document.number("MODEL.RPN.POSITIVE_FRACTION"),
        low_quality_matches=fixed(True, "Matcher(allow_low_quality_matches=True)"),
        roi_positive_iou=_first(document, "MODEL.ROI_HEADS.IOU_THRESHOLDS"),
        roi_positive_fraction=document.number("MODEL.ROI_HEADS.POSITIVE_FRACTION"),
        proposal_nms_iou=document.number("MODEL.RPN.NMS_THRESH"),
        detection_nms_iou=document.number("MODEL.ROI_HEADS.NMS_THRESH_TEST"),
        score_threshold=document.number("MODEL.ROI_HEADS.SCORE_THRESH_TEST"),
        flip_probability=document.text("INPUT.RANDOM_FLIP").becomes(
            lambda flip: 0.5 if flip == "horizontal" else 0.0,
            lambda share: {0.5: "horizontal", 0.0: "none"}.get(share, UNWRITABLE),
        ),
        resize=_resize(document),
        backbone=_backbone(document),
        weights=document.text(WEIGHTS),
        frozen_stages=document.whole("MODEL.BACKBONE.FREEZE_AT"),
        norm_trains=document.text(NORM).becomes(
            lambda norm: norm in TRAINING_NORMS, lambda trains: UNWRITABLE if trains else "FrozenBN"
        ),
        pixels=Pixels(
            order=document.text("INPUT.FORMAT"),
            mean=document.numbers("MODEL.PIXEL_MEAN"),
            std=document.numbers("MODEL.PIXEL_STD"),
            white=255.0,
        ),
        classes=document.whole("MODEL.ROI_HEADS.NUM_CLASSES"),
        differences=tuple(_differences(document, strides)),
    )


def _require_faster_rcnn(document: TheirDocument) -> None:
    architecture = document.text("MODEL.META_ARCHITECTURE")
    generator = document.text("MODEL.PROPOSAL_GENERATOR.NAME")
    if architecture.value not in ("GeneralizedRCNN", "ProposalNetwork") or generator.value not in ("RPN", "RRPN"):
        found = architecture if architecture.value != "GeneralizedRCNN" else generator
        raise ConfigError(f"{document.source}: {found.place} is {found.value}, which is no Faster R-CNN")


def _strides(document: TheirDocument) -> tuple[int, ...]:
    features = document.names("MODEL.RPN.IN_FEATURES")
    if not features.value or not all(name in STRIDES for name in features.value):
        raise document.refusal(features, f"must be of {', '.join(STRIDES)}")
    return tuple(STRIDES[name] for name in features.value)


def _for_each(lists: tuple[tuple[float, ...], ...], levels: int) -> tuple[tuple[float, ...], ...]:
    """A list for each level: one list alone holds for all of them."""
    return lists * levels if len(lists) == 1 else lists


def _first(document: TheirDocument, key: str) -> Wish[float]:
    wish = document.numbers(key)
    if not wish.value:
        raise document.refusal(wish, "must be a number")
    return wish.becomes(lambda values: values[0], lambda value: (value, *wish.value[1:]))


def _clip_norm(document: TheirDocument) -> Wish[float | None]:
    """Per parameter there, not global: the number is taken over all the same."""
    clips = document.flag("SOLVER.CLIP_GRADIENTS.ENABLED")
    by_norm = document.text("SOLVER.CLIP_GRADIENTS.CLIP_TYPE").value in ("norm", "full_model")
    if not (clips.value and by_norm):
        return clips.becomes(lambda _: None)
    return document.number("SOLVER.CLIP_GRADIENTS.CLIP_VALUE").becomes(lambda value: value)


def _resize(document: TheirDocument) -> Wish[Resize] | None:
    short, most = document.numbers("INPUT.MIN_SIZE_TRAIN"), document.number("INPUT.MAX_SIZE_TRAIN")
    if not short.value or min(short.value) <= 0 or most.value <= 0:  # 0 leaves images as they are
        return None
    return short.becomes(lambda values: Resize(short_px=values, most_long_px=most.value))


def _backbone(document: TheirDocument) -> TheirBackbone:
    name, depth = document.text("MODEL.BACKBONE.NAME"), document.whole("MODEL.RESNETS.DEPTH")
    if "resnet" not in name.value:
        return TheirBackbone(theirs=name, words=f"the backbone {name.value}")
    groups, width = (document.whole(f"MODEL.RESNETS.{key}") for key in ("NUM_GROUPS", "WIDTH_PER_GROUP"))
    if groups.value != 1:
        return TheirBackbone(theirs=groups, words=f"ResNeXt-{depth.value}")
    if width.value != WIDTHS[0]:
        return TheirBackbone(theirs=width, words=f"a ResNet-{depth.value} of {width.value} channels")
    return TheirBackbone(theirs=depth, words=f"ResNet-{depth.value}")


def _differences(document: TheirDocument, strides: tuple[int, ...]) -> Iterator[Difference]:
    if len(strides) == 1:
        features = document.names("MODEL.RPN.IN_FEATURES")
        yield Difference(theirs=features, what=f"one map of stride {strides[0]}", instead="FPN, P2 to P6")
    yield from _backbone(document).differences()
    for key, what in (("MODEL.MASK_ON", "a mask head"), ("MODEL.KEYPOINT_ON", "a keypoint head")):
        if (head := document.flag(key)).value:
            yield Difference(theirs=head, what=what, instead="boxes only")
    heads = document.text("MODEL.ROI_HEADS.NAME")
    if "Cascade" in heads.value:
        yield Difference(theirs=heads, what="Cascade R-CNN", instead="one box head, its first threshold")
    if document.text("MODEL.PROPOSAL_GENERATOR.NAME").value == "RRPN":
        rotated = document.text("MODEL.PROPOSAL_GENERATOR.NAME")
        yield Difference(theirs=rotated, what="rotated anchors", instead="upright ones of the same sizes")
    yield from _training_differences(document)


def _training_differences(document: TheirDocument) -> Iterator[Difference]:
    scheduler = document.text("SOLVER.LR_SCHEDULER_NAME")
    if scheduler.value != "WarmupMultiStepLR":
        yield Difference(theirs=scheduler, what=scheduler.value, instead="the steps of SOLVER.STEPS")
    if (nesterov := document.flag("SOLVER.NESTEROV")).value:
        yield Difference(theirs=nesterov, what="Nesterov's momentum", instead="plain momentum")
    if (method := document.text("SOLVER.WARMUP_METHOD")).value != "linear":
        yield Difference(theirs=method, what=f"{method.value} warm-up", instead="linear warm-up")
    clips = document.flag("SOLVER.CLIP_GRADIENTS.ENABLED")
    if clips.value:
        kind = document.text("SOLVER.CLIP_GRADIENTS.CLIP_TYPE")
        instead = "none" if kind.value == "value" else "the same norm over all of them"
        yield Difference(theirs=kind, what=f"clipping each parameter by {kind.value}", instead=instead)
    ratios = document.lists(RATIOS)
    if len(set(ratios.value)) > 1:
        yield Difference(theirs=ratios, what="ratios that differ by level", instead="the first level's on each")
    if (norm := document.text(NORM)).value in TRAINING_NORMS:
        yield Difference(theirs=norm, what=f"batch norm that trains ({norm.value})", instead="frozen batch norm")
    if (crop := document.flag("INPUT.CROP.ENABLED")).value:
        yield Difference(theirs=crop, what="random crops", instead="none")
