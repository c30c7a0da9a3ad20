"""Every hyperparameter that a Faster R-CNN study can vary: its default range, Detectron2's value, its limits.

The reference is what Detectron2's `faster_rcnn_R_50_FPN_1x` trains with; where Detectron2 has no such number, the
comment says where it comes from. Limits are those of validity: a study may widen a range as far as them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from detector.config import Optimizer
from spaces.parameters import Categorical, Float, Int, Parameter, Value

UNLIMITED = (float("-inf"), float("inf"))  # of a text


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """The parameter exists only where another one, listed earlier, is at least (or is exactly) this value."""

    parameter: str
    at_least: int | None = None
    equals: str | None = None

    def holds(self, value: Value) -> bool:
        """Whether a trial with this value of the other parameter has the parameter."""
        if self.equals is not None:
            return value == self.equals
        return not isinstance(value, str) and self.at_least is not None and value >= self.at_least


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One hyperparameter of the catalogue."""

    default: Parameter
    reference: Value  # its type is the parameter's: real, whole or text
    about: str  # one line for the study file
    limits: tuple[float, float] = UNLIMITED  # both allowed
    needs: Condition | None = None
    optional: bool = False  # absent from the default space: its reference value is used

    def exists_at(self, values: Mapping[str, Value]) -> bool:
        """Whether a trial with these values of the parameters listed earlier has this one."""
        return self.needs is None or self.needs.holds(values[self.needs.parameter])


def _range(low: float, high: float) -> Float:
    return Float(low=low, high=high)


def _log(low: float, high: float) -> Float:
    return Float(low=low, high=high, log=True)


WARMUP_FRACTION = 0.011  # 1,000 of 90,000 iterations

#: Parents stand before the parameters that need them: this is the order in which a trial is asked.
DEFINITIONS: dict[str, Definition] = {
    "anchor_base": Definition(
        default=_log(2, 16), reference=8.0, limits=(0.5, 64), about="smallest anchor of a level, in strides"
    ),
    "anchor_scales": Definition(
        default=Int(low=1, high=3), reference=1, limits=(1, 6), about="anchor sizes on each level"
    ),
    "anchor_octave_span": Definition(
        default=_range(0.5, 1),
        reference=1.0,  # RetinaNet's octave; without effect at one scale
        limits=(0.1, 2),
        needs=Condition(parameter="anchor_scales", at_least=2),
        about="octaves over which those sizes are spread",
    ),
    "anchor_ratio_centre": Definition(
        default=_log(0.5, 2), reference=1.0, limits=(0.05, 20), about="middle ratio, height / width"
    ),
    "anchor_ratios": Definition(
        default=Int(low=1, high=5, step=2), reference=3, limits=(1, 9), about="anchor ratios of each size"
    ),
    "anchor_ratio_spread": Definition(
        default=_log(1, 4),
        reference=2.0,
        limits=(1, 20),
        needs=Condition(parameter="anchor_ratios", at_least=2),
        about="factor from the middle ratio to the outermost",
    ),
    "optimizer": Definition(
        default=Categorical(values=(Optimizer.SGD.value, Optimizer.ADAM.value)),
        reference=Optimizer.SGD.value,
        about="update rule, as PyTorch defines it",
    ),
    "lr_per_16": Definition(
        default=_log(1e-4, 0.1),
        reference=0.02,
        limits=(1e-8, 10),
        needs=Condition(parameter="optimizer", equals=Optimizer.SGD.value),
        about="learning rate of SGD at batch size 16, scaled linearly",
    ),
    "adam_lr_per_16": Definition(
        default=_log(1e-5, 3e-3),
        reference=1e-4,  # MMDetection's for AdamW; Detectron2 trains this model with SGD only
        limits=(1e-9, 1),
        needs=Condition(parameter="optimizer", equals=Optimizer.ADAM.value),
        about="learning rate of Adam at batch size 16, scaled linearly",
    ),
    "rpn_lr_factor": Definition(
        default=_log(0.25, 4), reference=1.0, limits=(0.01, 100), about="learning rate of the RPN, × the rest's"
    ),
    "momentum": Definition(
        default=_range(0.8, 0.98), reference=0.9, limits=(0, 0.999), about="of SGD; for Adam, beta 1"
    ),
    "weight_decay": Definition(
        default=_log(1e-6, 1e-2), reference=1e-4, limits=(0, 1), about="added to the gradient, × the weight"
    ),
    "warmup_fraction": Definition(
        default=_range(0, 0.1), reference=WARMUP_FRACTION, limits=(0, 0.5), about="of the budget, linear warm-up"
    ),
    "decays": Definition(
        default=Int(low=0, high=2), reference=2, limits=(0, 4), about="times that the learning rate drops"
    ),
    "decay_first": Definition(
        default=_range(0.3, 0.95),
        reference=(2 / 3 - WARMUP_FRACTION) / (1 - WARMUP_FRACTION),  # 60,000 of 90,000 iterations
        limits=(0.01, 0.99),
        needs=Condition(parameter="decays", at_least=1),
        about="first drop, as a share of the way from warm-up to the end",
    ),
    "decay_gap": Definition(
        default=_range(0.1, 0.9),
        reference=2 / 3,  # (80,000 - 60,000) of the 30,000 iterations that remain
        limits=(0.01, 0.99),
        needs=Condition(parameter="decays", at_least=2),
        about="next drop, as a share of what then remains",
    ),
    "decay_factor": Definition(
        default=_log(0.05, 0.5),
        reference=0.1,
        limits=(1e-4, 1),
        needs=Condition(parameter="decays", at_least=1),
        about="each drop multiplies by this",
    ),
    "clip_norm": Definition(
        default=_log(1, 100),
        reference=35.0,  # MMDetection's: far above a healthy norm, where Detectron2 does not clip
        limits=(1e-3, 1e6),
        about="largest global norm of a gradient",
    ),
    "batch_size": Definition(
        default=Categorical(values=(4, 8, 16)), reference=16, limits=(1, 1024), about="images for each update"
    ),
    "augmentation": Definition(
        default=_range(0, 1), reference=0.1, limits=(0, 1), about="strength of all augmentations at once"
    ),
}

#: The parameter that holds an optimizer's learning rate per 16 images.
RATES: dict[Optimizer, str] = {Optimizer.SGD: "lr_per_16", Optimizer.ADAM: "adam_lr_per_16"}


def _optional(low: float, high: float, reference: float, about: str, *, limits: tuple[float, float]) -> Definition:
    return Definition(default=_range(low, high), reference=reference, limits=limits, about=about, optional=True)


#: Each augmentation on its own, taken out of the common strength. Named as the fields of `Augmentation`.
AUGMENTATION_PREFIX = "augmentation_"
DEFINITIONS |= {
    "augmentation_flip_probability": _optional(0, 0.5, 0.5, "mirrored left to right", limits=(0, 1)),
    "augmentation_scale": _optional(0, 1, 0.1, "zoom up to × (1 + this)", limits=(0, 1)),
    "augmentation_crop": _optional(0, 0.3, 0.02, "shift, as a share of the canvas", limits=(0, 1)),
    "augmentation_rotation_deg": _optional(0, 15, 1.5, "largest turn in degrees", limits=(0, 45)),
    "augmentation_brightness": _optional(0, 0.5, 0.03, "added, as a share of full scale", limits=(0, 1)),
    "augmentation_contrast": _optional(0, 0.5, 0.05, "factor up to 1 ± this", limits=(0, 1)),
    "augmentation_hue": _optional(0, 0.1, 0.005, "turn of the colour circle", limits=(0, 1)),
    "augmentation_saturation": _optional(0, 0.5, 0.05, "factor up to 1 ± this", limits=(0, 1)),
    "augmentation_visible_share": _optional(0.1, 0.6, 0.3, "boxes that keep less are dropped", limits=(0, 1)),
}

#: Matching and sampling, at Detectron2's values unless the study names them. Named as in `Hyperparameters`.
MATCHING: dict[str, Definition] = {
    "rpn_positive_iou": _optional(0.5, 0.8, 0.7, "an anchor is positive from here", limits=(0.3, 0.95)),
    "rpn_negative_iou": _optional(0.1, 0.3, 0.3, "an anchor is negative below", limits=(0.01, 0.3)),
    "rpn_positive_fraction": _optional(0.25, 0.75, 0.5, "of the sampled anchors, at most", limits=(0.01, 1)),
    "roi_positive_iou": _optional(0.4, 0.7, 0.5, "a proposal is foreground from here", limits=(0.1, 0.95)),
    "roi_positive_fraction": _optional(0.1, 0.5, 0.25, "of the sampled proposals, at most", limits=(0.01, 1)),
    "proposal_nms_iou": _optional(0.6, 0.9, 0.7, "proposals overlapping more are merged", limits=(0.1, 1)),
    "detection_nms_iou": _optional(0.3, 0.7, 0.5, "detections overlapping more are merged", limits=(0.05, 1)),
}
DEFINITIONS |= MATCHING
