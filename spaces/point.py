"""The point of a space that a configuration stands for, whether or not the space holds it: `configuration` backwards.

`configuration(space.nearest(parameters_of(h))) == h` up to rounding for every `h` that the default space can make. What
a space has no parameter for (sizes that differ from level to level, a second augmentation) goes into the nearest one.
"""

import math
from statistics import fmean

from detector.config import STRIDES_PX, Anchors, Augmentation, Hyperparameters
from spaces.catalogue import AUGMENTATION_PREFIX, MATCHING, RATES
from spaces.parameters import Value

FULL_FLIP_STRENGTH, FLIPS_OF_STRENGTH = 0.1, 5.0  # as `Augmentation.of_strength` has them


def parameters_of(hyperparameters: Hyperparameters) -> dict[str, Value]:
    """A value for each parameter that says something about the configuration, in the range of the space or not."""
    numbers = ("rpn_lr_factor", "momentum", "weight_decay", "warmup_fraction", "clip_norm", "batch_size")
    return {
        **_of_anchors(hyperparameters.anchors),
        "optimizer": hyperparameters.optimizer.value,
        RATES[hyperparameters.optimizer]: hyperparameters.lr_per_16,
        **{name: getattr(hyperparameters, name) for name in (*numbers, *MATCHING)},
        **_of_decay(hyperparameters),
        **_of_augmentation(hyperparameters.augmentation),
    }


def _of_anchors(anchors: Anchors) -> dict[str, Value]:
    scales = len(anchors.sizes_px[0])
    pairs = list(zip(anchors.sizes_px, STRIDES_PX, strict=True))
    values: dict[str, Value] = {
        "anchor_base": _mean([min(sizes) / stride for sizes, stride in pairs]),
        "anchor_scales": scales,
        "anchor_ratio_centre": math.sqrt(min(anchors.ratios) * max(anchors.ratios)),
        "anchor_ratios": len(anchors.ratios),
    }
    if scales > 1:
        step = _mean([max(sizes) / min(sizes) for sizes, _ in pairs])
        values["anchor_octave_span"] = math.log2(step) * scales / (scales - 1)
    if len(anchors.ratios) > 1:
        values["anchor_ratio_spread"] = math.sqrt(max(anchors.ratios) / min(anchors.ratios))
    return values


def _mean(factors: list[float]) -> float:
    return math.exp(fmean(map(math.log, factors)))


def _of_decay(hyperparameters: Hyperparameters) -> dict[str, Value]:
    """Each boundary as a share of what the one before it leaves; later gaps are averaged, for a space has one."""
    reached, shares = hyperparameters.warmup_fraction, []
    for boundary in hyperparameters.decay_boundaries:
        shares.append((boundary - reached) / (1 - reached))
        reached = boundary
    values: dict[str, Value] = {"decays": len(shares)}
    if shares:
        values |= {"decay_first": shares[0], "decay_factor": hyperparameters.decay_factor}
    if shares[1:]:
        values["decay_gap"] = fmean(shares[1:])
    return values


def _of_augmentation(augmentation: Augmentation) -> dict[str, Value]:
    """Each by its own name, and the strength that comes nearest to all of them but the flips, which are full early."""
    own = {name: getattr(augmentation, name) for name in augmentation.__dataclass_fields__}
    full = Augmentation.of_strength(1.0)
    others = [name for name in own if name not in ("flip_probability", "visible_share")]
    strength = fmean(own[name] / getattr(full, name) for name in others)
    least = min(FULL_FLIP_STRENGTH, own["flip_probability"] / FLIPS_OF_STRENGTH)
    return {"augmentation": max(strength, least), **{f"{AUGMENTATION_PREFIX}{name}": own[name] for name in own}}
