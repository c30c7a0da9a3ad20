"""What a trial is made of: the compile key and the run-time hyperparameters.

Imports nothing but the standard library and values of its kind, so that reading a configuration never loads Keras.

Boxes are sizes in pixels of the *canvas*: the fixed frame into which every image is scaled and padded.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from detector.geometry import KERAS, Geometry

LEVELS = 5  # P2 to P6
STRIDES_PX = (4, 8, 16, 32, 64)  # of P2 to P6
CANVAS_MULTIPLE_PX = 32
MOST_CANVAS_PX = 16_384  # no memory holds the features of more

# How the RPN matches anchors and boxes, for the network and for what foretells it.
POSITIVE_IOU, NEGATIVE_IOU = 0.7, 0.3  # Detectron2's
TIE_TOLERANCE = 1e-5  # best overlaps equal up to rounding tie whatever the compiler fused; == cost others 1–2 AP
LEAST_BEST_IOU = 1e-3  # a box that overlaps no anchor has no best one; without this, 0 == 0 would make every anchor it


class ConfigError(ValueError):
    """A value that the user must change. The message holds the rule, the value and what to do."""


class Precision(StrEnum):
    """Type of the activations; box arithmetic and accumulation are always float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class BackboneName(StrEnum):
    """The backbones that there are; `network.backbone` says what each is."""

    RESNET50 = "resnet50"
    RESNET18 = "resnet18"
    RESNET34 = "resnet34"
    RESNET101 = "resnet101"


class NamedWeights(StrEnum):
    """Weights that are called by a name; everything else is the path of a file, which decides the geometry."""

    COCO = "coco"  # a whole detector: Detectron2's, fetched
    IMAGENET = "imagenet"  # a backbone: Keras's, fetched
    NONE = "none"


FETCHED = (NamedWeights.COCO, NamedWeights.IMAGENET)
WEIGHTS_CHOICES = f"{', '.join(NamedWeights)} or a file"  # as messages and help say it
FETCHED_BACKBONES = (BackboneName.RESNET50, BackboneName.RESNET101)  # of which there are such


class Optimizer(StrEnum):
    """Update rule, each as PyTorch defines it."""

    SGD = "sgd"
    ADAM = "adam"


def nearest_side_px(length_px: float) -> int:
    """The side of a canvas that is nearest to the length."""
    return max(1, round(length_px / CANVAS_MULTIPLE_PX)) * CANVAS_MULTIPLE_PX


def require(holds: bool, message: str) -> None:
    """Raise `ConfigError` with the message unless the rule holds."""
    if not holds:
        raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """Fixed frame, in pixels, into which every image is scaled (aspect kept) and padded (right and bottom)."""

    height_px: int
    width_px: int

    def __post_init__(self) -> None:
        for name, value in (("height", self.height_px), ("width", self.width_px)):
            require(
                value <= MOST_CANVAS_PX,
                f"canvas {name} must be at most {MOST_CANVAS_PX} px, but is {str(value)[:20]}",
            )
            require(
                value >= CANVAS_MULTIPLE_PX and value % CANVAS_MULTIPLE_PX == 0,
                f"canvas {name} must be a positive multiple of {CANVAS_MULTIPLE_PX} px, but is {value}; "
                f"the nearest is {nearest_side_px(value)}",
            )

    @property
    def area_px(self) -> int:
        return self.height_px * self.width_px

    def __str__(self) -> str:
        return f"{self.height_px}x{self.width_px}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSettings:
    """What the user says of the network, but for its canvas; nothing of it is a hyperparameter of the search."""

    backbone: BackboneName = BackboneName.RESNET50
    weights: str = NamedWeights.NONE.value  # one of `NamedWeights`, or the path of a file
    precision: Precision = Precision.FLOAT32
    frozen_stages: int | None = None  # None: 2 with weights (Detectron2's FREEZE_AT), 0 without
    micro_batch: int | None = None  # None: the largest that divides every batch size, at most 8
    proposals: int | None = None  # after NMS, per image; None: by canvas (see `StepShape.for_detector`)
    roi_samples: int | None = None  # per image; None: by canvas

    def __post_init__(self) -> None:
        stages = self.frozen_stages
        require(
            stages is None or 0 <= stages <= 5,
            f"frozen_stages must be 0 (none) to 5 (the whole backbone), not {stages}",
        )
        require(
            self.weights not in FETCHED or self.backbone in FETCHED_BACKBONES,
            f"there are no {self.weights} weights of a {self.backbone} to fetch: Keras and Detectron2 have them of "
            "resnet50 and resnet101; give torchvision's file in weights, or none",
        )
        for name in ("micro_batch", "proposals", "roi_samples"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name} must be at least 1, but is {value}")

    @property
    def stages_to_freeze(self) -> int:
        if self.frozen_stages is not None:
            return self.frozen_stages
        return 0 if self.weights == "none" else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector(DetectorSettings):
    """All that the user says of the network."""

    canvas: Canvas


@dataclass(frozen=True, slots=True, kw_only=True)
class StepShape:
    """The compile key: two trials with equal shapes run on the same executable."""

    canvas: Canvas
    micro_batch: int
    anchors_per_cell: int  # slots; a trial may use fewer
    boxes_per_image: int  # slots for ground truth
    classes: int
    pre_nms_train: int = 2000  # per level, as Detectron2
    pre_nms_test: int = 1000
    proposals_train: int = 1000
    proposals_test: int = 1000
    anchor_samples: int = 256
    roi_samples: int = 512
    detections: int = 100
    precision: Precision = Precision.FLOAT32
    frozen_stages: int = 2
    backbone: BackboneName = BackboneName.RESNET50
    geometry: Geometry = KERAS  # of the weights' file

    @classmethod
    def for_detector(
        cls, detector: Detector, *, anchors_per_cell: int, boxes_per_image: int, classes: int, micro_batch: int
    ) -> "StepShape":
        """Detectron2's counts from a 512 × 512 canvas on; below that in proportion to the area, with a floor.

        A small canvas holds fewer distinct proposals, and their cost would dominate the step.
        """
        share = min(1.0, detector.canvas.area_px / 512**2)
        roi_samples = detector.roi_samples or max(64, 8 * round(512 * share / 8))
        proposals = detector.proposals or max(128, 8 * round(1000 * share / 8))
        return cls(
            canvas=detector.canvas,
            micro_batch=micro_batch,
            anchors_per_cell=anchors_per_cell,
            boxes_per_image=boxes_per_image,
            classes=classes,
            pre_nms_train=2 * proposals,
            pre_nms_test=proposals,
            proposals_train=proposals,
            proposals_test=proposals,
            roi_samples=roi_samples,
            precision=detector.precision,
            frozen_stages=detector.stages_to_freeze,
            backbone=detector.backbone,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """Anchor sizes (square root of the area, canvas pixels) for each level P2 to P6, and ratios (height / width)."""

    sizes_px: tuple[tuple[float, ...], ...] = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)

    def __post_init__(self) -> None:
        require(len(self.sizes_px) == LEVELS, f"anchor sizes are needed for {LEVELS} levels, not {len(self.sizes_px)}")
        counts = {len(sizes) for sizes in self.sizes_px}
        require(
            len(counts) == 1 and 0 not in counts, f"every level needs the same number of sizes, got {self.sizes_px}"
        )
        values = (*self.ratios, *(size for sizes in self.sizes_px for size in sizes))
        require(
            bool(self.ratios) and all(math.isfinite(v) and v > 0 for v in values),
            f"anchor sizes and ratios must be positive numbers, got {self.sizes_px} and {self.ratios}",
        )

    @property
    def per_cell(self) -> int:
        return len(self.sizes_px[0]) * len(self.ratios)


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Ranges of the random changes made to each training image; all zero leaves it as it is."""

    flip_probability: float = 0.5  # left–right
    scale: float = 0.0  # zoom between 1 / (1 + scale) and 1 + scale
    crop: float = 0.0  # shift of the window, as a share of the canvas
    rotation_deg: float = 0.0
    brightness: float = 0.0  # additive, as a share of full scale
    contrast: float = 0.0
    hue: float = 0.0  # turn of the colour circle, 1 is the whole
    saturation: float = 0.0
    visible_share: float = 0.3  # boxes that keep less than this of their area are dropped

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            limit = 45.0 if name == "rotation_deg" else 1.0
            require(0.0 <= value <= limit, f"augmentation {name} must lie in [0, {limit:g}], but is {value}")

    @classmethod
    def of_strength(cls, strength: float, **own: float) -> "Augmentation":
        """One number scales everything; what is named in `own` keeps its value.

        Flips reach one half at 0.1, the reference: Detectron2 flips half the images and varies the size a little.
        At 1: zoom up to ×2, shifts of 20 %, 15 degrees, ±30 % brightness, ±50 % contrast and saturation, ±5 % hue.
        """
        values = {
            "flip_probability": min(0.5, 5 * strength),
            "scale": 1.0 * strength,
            "crop": 0.2 * strength,
            "rotation_deg": 15.0 * strength,
            "brightness": 0.3 * strength,
            "contrast": 0.5 * strength,
            "hue": 0.05 * strength,
            "saturation": 0.5 * strength,
        }
        return cls(**{**values, **own})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Everything of a trial that is an input of the compiled step. The defaults are Detectron2's."""

    anchors: Anchors = field(default_factory=Anchors)
    optimizer: Optimizer = Optimizer.SGD
    lr_per_16: float = 0.02  # learning rate at batch size 16; scaled linearly with the batch
    rpn_lr_factor: float = 1.0
    momentum: float = 0.9  # for Adam: beta 1
    weight_decay: float = 1e-4
    warmup_fraction: float = 0.011  # of the budget: 1,000 of 90,000 iterations
    warmup_factor: float = 0.001
    decay_boundaries: tuple[float, ...] = (2 / 3, 8 / 9)  # fractions of the budget: 60k and 80k of 90k
    decay_factor: float = 0.1
    clip_norm: float = 35.0  # global norm; inert in a healthy run (MMDetection's advice)
    batch_size: int = 16
    augmentation: Augmentation = field(default_factory=Augmentation)
    rpn_positive_iou: float = POSITIVE_IOU
    rpn_negative_iou: float = NEGATIVE_IOU
    rpn_positive_fraction: float = 0.5
    low_quality_matches: bool = True
    roi_positive_iou: float = 0.5
    roi_positive_fraction: float = 0.25
    proposal_nms_iou: float = 0.7
    detection_nms_iou: float = 0.5
    score_threshold: float = 0.05

    def __post_init__(self) -> None:
        self._check_rates()
        boundaries = self.decay_boundaries
        require(
            all(self.warmup_fraction < b < 1 for b in boundaries) and list(boundaries) == sorted(set(boundaries)),
            f"decay boundaries must be increasing fractions of the budget between warm-up ({self.warmup_fraction}) "
            f"and 1, but are {boundaries}",
        )
        require(
            self.rpn_negative_iou <= self.rpn_positive_iou,
            f"rpn_negative_iou ({self.rpn_negative_iou}) must not exceed rpn_positive_iou ({self.rpn_positive_iou})",
        )

    def _check_rates(self) -> None:
        for name in ("lr_per_16", "rpn_lr_factor", "decay_factor", "clip_norm", "batch_size"):
            value = getattr(self, name)
            require(value > 0 and not math.isnan(value), f"{name} must be positive, but is {value}")
        require(0 <= self.momentum < 1, f"momentum must lie in [0, 1), but is {self.momentum}")
        require(self.weight_decay >= 0, f"weight_decay must not be negative, but is {self.weight_decay}")
        for name in (
            "warmup_fraction", "warmup_factor", "rpn_positive_iou", "rpn_negative_iou", "rpn_positive_fraction",
            "roi_positive_iou", "roi_positive_fraction", "proposal_nms_iou", "detection_nms_iou", "score_threshold",
        ):  # fmt: skip
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name} must lie in [0, 1], but is {value}")

    @property
    def learning_rate(self) -> float:
        """Peak learning rate at this batch size (linear rule)."""
        return self.lr_per_16 * self.batch_size / 16
