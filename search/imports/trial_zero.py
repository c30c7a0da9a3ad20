"""Trial 0 of an imported configuration: `Hyperparameters` that mean the same, and what they had to have instead.

A schedule is kept in parts of the whole, so that it can be trained within any budget. What breaks a rule of
`Hyperparameters` gets the nearest value that behaves alike, and is said.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from detector.config import Anchors, Augmentation, ConfigError, Hyperparameters, require
from search.imports.imported import Imported, Resize
from search.imports.levels import on_our_levels
from search.imports.wish import Wish

NO_CLIPPING = 1e6
HARDLY_ANY_RATE = 1e-12  # in place of none: it moves nothing, and the trial shows it
REFERENCE_BATCH = 16
MOST_BATCH, MOST_RATE, MOST_SIZE_PX, MOST_PER_CELL = 1024, 1e6, 1e5, 64  # more is no training, but a slip


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """A value of theirs that trial 0 cannot have, with what it has."""

    theirs: Wish[Any]
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialZero:
    """What is trained, and what of it isn't theirs."""

    hyperparameters: Hyperparameters
    substitutions: tuple[Substitution, ...]


@dataclass(slots=True)
class _Fitting:
    """Gathers what is said while values are fitted."""

    substitutions: list[Substitution] = field(default_factory=list)

    def instead(self, wish: Wish[Any], message: str) -> None:
        self.substitutions.append(Substitution(theirs=wish, message=message))

    def within(self, wish: Wish[float], low: float, high: float) -> float:
        """The nearest number in the range."""
        value = min(max(wish.value, low), high)
        if value != wish.value:
            self.instead(wish, f"{wish.value:g} is no value between {low:g} and {high:g}; trial 0 has {value:g}")
        return value


def trial_zero(imported: Imported, *, scale: float = 1.0) -> TrialZero:
    """The trial. `scale` is how much larger images are on the study's canvas than in their training.

    Raises:
        ConfigError: nothing sensible can be trained, and why.
    """
    _require_sense(imported)
    fitting = _Fitting()
    rate, warmup_fraction, warmup_factor, boundaries = _schedule(imported, fitting)
    negative, positive = _thresholds(imported, fitting)
    values: dict[str, Any] = dict(
        anchors=_anchors(imported, scale, fitting),
        optimizer=imported.optimizer.value,
        lr_per_16=rate * REFERENCE_BATCH / imported.batch_size.value,
        rpn_lr_factor=imported.rpn_lr_factor.value if imported.rpn_lr_factor else 1.0,
        momentum=fitting.within(imported.momentum, 0, 1 - 1e-9),
        weight_decay=fitting.within(imported.weight_decay, 0, math.inf),
        warmup_fraction=warmup_fraction,
        warmup_factor=warmup_factor,
        decay_boundaries=boundaries,
        decay_factor=imported.decay_factor.value,
        clip_norm=imported.clip_norm.value or NO_CLIPPING,
        batch_size=imported.batch_size.value,
        augmentation=_augmentation(imported, fitting),
        rpn_positive_iou=positive,
        rpn_negative_iou=negative,
        low_quality_matches=imported.low_quality_matches.value,
        **{
            name: fitting.within(getattr(imported, name), 0, 1)
            for name in (
                "rpn_positive_fraction", "roi_positive_iou", "roi_positive_fraction", "proposal_nms_iou",
                "detection_nms_iou", "score_threshold",
            )
        },
    )  # fmt: skip
    try:
        hyperparameters = Hyperparameters(**values)
    except ConfigError as error:
        raise ConfigError(f"{imported.source}: {error}") from None
    return TrialZero(hyperparameters=hyperparameters, substitutions=tuple(fitting.substitutions))


def _require_sense(imported: Imported) -> None:
    """Raise where nothing sensible remains: no number of ours would do what theirs does."""
    factor = imported.rpn_lr_factor or imported.decay_factor
    for wish, least, most, what in (
        (imported.batch_size, 1, MOST_BATCH, "images of one batch"),
        (imported.iterations, 1, 1e12, "iterations"),
        (imported.learning_rate, 0, MOST_RATE, "a learning rate"),
        (imported.decay_factor, 1e-12, MOST_RATE, "the factor of a drop of the learning rate"),
        (factor, 1e-12, MOST_RATE, "a factor of the learning rate"),
    ):
        _require_between(imported, wish, (wish.value,), least, most, what)
    sizes = [size for sizes in imported.sizes_px.value for size in sizes]
    _require_between(imported, imported.sizes_px, sizes, 0.1, MOST_SIZE_PX, "pixels of an anchor")
    _require_between(imported, imported.ratios, imported.ratios.value, 1e-3, 1e3, "a ratio")
    per_cell = max(map(len, imported.sizes_px.value)) * len(imported.ratios.value)
    require(
        per_cell <= MOST_PER_CELL,
        f"{imported.source}: {imported.sizes_px.place} has {per_cell} anchors a cell, but must have at most "
        f"{MOST_PER_CELL}",
    )


def _require_between(
    imported: Imported, wish: Wish[Any], values: Iterable[float], least: float, most: float, what: str
) -> None:
    bad = [value for value in values if not least <= value <= most]
    require(
        not bad,
        f"{imported.source}: {wish.place} must be {what}, from {least:g} to {most:g}, but is {bad[:1] or wish.value}",
    )


def _anchors(imported: Imported, scale: float, fitting: _Fitting) -> Anchors:
    theirs, wish = imported.sizes_px.value, imported.sizes_px
    ours = on_our_levels(theirs, imported.strides_px)
    if theirs != ours:
        sizes = ", ".join("/".join(f"{size:g}" for size in level) for level in ours)
        fitting.instead(wish, f"theirs stand on maps of stride {_listed(imported.strides_px)}; on P2 to P6: {sizes} px")
    if scale != 1:
        fitting.instead(wish, f"images are × {scale:.3g} on the study's canvas, and so are the anchors of trial 0")
        ours = tuple(tuple(size * scale for size in level) for level in ours)
    try:
        return Anchors(sizes_px=ours, ratios=imported.ratios.value)
    except ConfigError as error:  # scaled out of what numbers can be
        raise ConfigError(f"{imported.source}: {wish.place}: {error}") from None


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _schedule(imported: Imported, fitting: _Fitting) -> tuple[float, float, float, tuple[float, ...]]:
    """The peak rate, warm-up as a part of the whole, its first factor, and the boundaries."""
    rate, iterations = imported.learning_rate.value, imported.iterations.value
    if rate == 0:
        fitting.instead(imported.learning_rate, f"a rate of 0 moves nothing; trial 0 has {HARDLY_ANY_RATE:g}")
        rate = HARDLY_ANY_RATE
    warmup = fitting.within(imported.warmup_iterations, 0, math.inf) / iterations
    factor = fitting.within(imported.warmup_factor, 0, 1)
    if warmup > 1:  # the ramp is cut where their training ends
        reached = factor + (1 - factor) / warmup
        fitting.instead(
            imported.warmup_iterations,
            f"warm-up ends after training; trial 0 warms up to its end, to the {rate * reached:g} that theirs reaches",
        )
        rate, warmup, factor = rate * reached, 1.0, factor / reached
    boundaries = sorted({milestone / iterations for milestone in imported.milestones.value})
    late = [boundary for boundary in boundaries if boundary >= 1]
    early = [boundary for boundary in boundaries if boundary <= warmup and boundary < 1]
    if early:
        rate *= imported.decay_factor.value ** len(early)
        fitting.instead(
            imported.milestones, f"the rate drops {len(early)} times before warm-up ends; trial 0 warms up to {rate:g}"
        )
    kept = tuple(boundary for boundary in boundaries if boundary not in late and boundary not in early)
    return max(rate, 1e-300), warmup, factor, kept


def _thresholds(imported: Imported, fitting: _Fitting) -> tuple[float, float]:
    negative = fitting.within(imported.rpn_negative_iou, 0, 1)
    positive = fitting.within(imported.rpn_positive_iou, 0, 1)
    if negative > positive:
        fitting.instead(
            imported.rpn_negative_iou,
            f"anchors would be negative below {negative:g} and positive from {positive:g}; trial 0 has them exchanged",
        )
        return positive, negative
    return negative, positive


def _augmentation(imported: Imported, fitting: _Fitting) -> Augmentation:
    flips = fitting.within(imported.flip_probability, 0, 1)
    return Augmentation(flip_probability=flips, scale=_zoom(imported.resize))


def _zoom(resize: Wish[Resize] | None) -> float:
    """The zoom whose range is that of the short sides which are drawn."""
    short = resize.value.short_px if resize else ()
    return min(1.0, math.sqrt(max(short) / min(short)) - 1) if short else 0.0
