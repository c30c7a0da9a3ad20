"""Their file back, with only those values changed that make it another configuration.

Each change is read back before it counts: what the file then means must be what was wanted, and nothing else.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from detector.config import ConfigError, Hyperparameters
from search.imports.edit.basis import CLOSE, FOLLOWERS, Basis, Change, Onto, is_close
from search.imports.imported import Imported
from search.imports.lint.finding import shown
from search.imports.trial_zero import REFERENCE_BATCH

NEAR = 0.05  # of the training: where drops can be said in epochs only

#: What is written of a configuration, in this order: a batch before the rate that belongs to it.
WRITTEN: Mapping[str, Callable[[Hyperparameters, Imported, float], Any]] = {
    "batch_size": lambda own, _, __: own.batch_size,
    "learning_rate": lambda own, theirs, _: own.lr_per_16 * theirs.batch_size.value / REFERENCE_BATCH,
    "decay_factor": lambda own, _, __: own.decay_factor,
    "warmup_iterations": lambda own, theirs, _: round(own.warmup_fraction * theirs.iterations.value),
    "warmup_factor": lambda own, _, __: own.warmup_factor,
    "milestones": lambda own, theirs, _: tuple(
        math.ceil(boundary * theirs.iterations.value - CLOSE) for boundary in own.decay_boundaries
    ),
    "sizes_px": lambda own, _, scale: tuple(
        tuple(size / scale for size in level) for level in own.anchors.sizes_px
    ),
    "ratios": lambda own, _, __: own.anchors.ratios,
    "flip_probability": lambda own, _, __: own.augmentation.flip_probability,
    **{
        name: (lambda own, _, __, name=name: getattr(own, name))  # type: ignore[misc]
        for name in (
            "optimizer", "momentum", "weight_decay", "clip_norm", "rpn_lr_factor", "rpn_positive_iou",
            "rpn_negative_iou", "rpn_positive_fraction", "low_quality_matches", "roi_positive_iou",
            "roi_positive_fraction", "proposal_nms_iou", "detection_nms_iou", "score_threshold",
        )
    },
}  # fmt: skip


def onto(text: str, basis: Basis, target: Hyperparameters) -> Onto:
    """The text, changed so that it means the target as far as it can.

    Raises:
        ConfigError: the text is none of the framework's.
    """
    changes: list[Change] = []
    unwritten = []
    for name, value_of in WRITTEN.items():
        imported, own = basis.read(text)
        wanted, there = (value_of(each, imported, basis.scale) for each in (target, own))
        if is_close(wanted, there):
            continue
        wish = getattr(imported, name)
        changed = None if wish is None else _changed(text, basis, name, wanted)
        what = wish.key if wish is not None else name
        if changed is None:
            unwritten.append(f"{what}: {shown(there)} stays, {shown(wanted)} is wanted")
        else:
            changes += basis.changes(text, wish, changed[1])
            text = changed[0]
    unwritten += _rest(basis.read(text)[1], target)
    return Onto(text=text, changes=tuple(changes), unwritten=tuple(unwritten))


def _changed(text: str, basis: Basis, name: str, wanted: Any) -> tuple[str, Any] | None:
    """The text with that value, and the value as it then stands; None where it would not be read back as that, or
    anything else would change."""
    imported, before = basis.read(text)
    changed = basis.written(text, getattr(imported, name), wanted)
    if changed is None:
        return None
    try:
        imported_after, after = basis.read(changed)
    except ConfigError:
        return None
    value_of = WRITTEN[name]
    if not _near(name, value_of(after, imported_after, basis.scale), wanted, imported.iterations.value):
        return None
    others = (each for each in WRITTEN if each != name and each not in FOLLOWERS.get(name, ()))
    kept = all(
        is_close(WRITTEN[each](after, imported_after, basis.scale), WRITTEN[each](before, imported, basis.scale))
        for each in others
    )
    return (changed, getattr(imported_after, name).value) if kept else None


def _rest(own: Hyperparameters, target: Hyperparameters) -> list[str]:
    """Augmentations for which their file has no word here."""
    names = [field.name for field in fields(own.augmentation) if field.name != "flip_probability"]
    pairs = [(name, getattr(own.augmentation, name), getattr(target.augmentation, name)) for name in names]
    changed = [each for each in pairs if not is_close(*each[1:])]
    return [f"augmentation {name}: {there:g} stays, {wanted:g} is wanted" for name, there, wanted in changed]


def _near(name: str, found: Any, wanted: Any, iterations: float) -> bool:
    """Whether it is what was wanted; drops may be moved to whole epochs."""
    if name == "milestones" and len(found) == len(wanted):
        return all(abs(one - other) <= NEAR * iterations for one, other in zip(found, wanted, strict=True))
    return is_close(found, wanted)
