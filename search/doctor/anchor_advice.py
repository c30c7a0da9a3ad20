"""The fit of anchors to a dataset: Detectron2's, the study's and derived ones, with what follows for the space."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from detector.config import Anchors, Canvas
from search.doctor.diagnostic import Diagnostic, Level
from search.doctor.larger_canvas import larger_canvas
from search.policy.derived_point import derived_anchors
from spaces.anchor_fit import HALF_IOU, AnchorFit, CanvasBoxes, Floats, best_ious, fit_anchors
from spaces.catalogue import DEFINITIONS
from spaces.faster_rcnn import ANCHOR_PARAMETERS, Space
from spaces.parameters import Float, Int, Parameter, Value, three_digits

MISFIT_SHARE, HOPELESS_SHARE = 0.2, 0.5  # of boxes below an IoU of 0.5 (F20)
FORCED_IMAGES_SHARE = 0.5  # of images without an anchor that is positive by its own merit
GOOD_SIZE_PX = (
    16.0  # on the canvas: an object of this size has an IoU of 0.62 in the worst position on P2, one of 8 px 0.39
)
LOW_QUANTILE = 0.1
AROUND = 1.5  # proposed ranges reach from the derived value / this to × this

REFERENCE, STUDY, DERIVED = "reference", "study", "derived"


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedAnchors:
    """One set of anchors and how it fits."""

    anchors: Anchors
    fit: AnchorFit
    values: dict[str, Value]  # as a point of the space; empty where it is none


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnchorAdvice:
    """What the boxes of the training data say about anchors, by name of the set."""

    boxes: CanvasBoxes
    fitted: dict[str, FittedAnchors]

    @property
    def best(self) -> FittedAnchors:
        """The derived ones, or where the study fixes its anchors, those."""
        return self.fitted.get(DERIVED) or self.fitted.get(STUDY) or self.fitted[REFERENCE]


def advise(boxes: CanvasBoxes, space: Space, *, seed: int) -> AnchorAdvice:
    """The fit of Detectron2's anchors, of the study's own trial 0 where that differs, and of derived ones."""
    fitted = {REFERENCE: _fitted(boxes, Anchors(), {})}
    first = space.configuration(space.reference()).anchors
    if first != Anchors():
        fitted[STUDY] = _fitted(boxes, first, {})
    derived = derived_anchors(boxes, space, seed=seed)
    if derived is not None:
        fitted[DERIVED] = _fitted(boxes, derived.anchors, derived.values)
    return AnchorAdvice(boxes=boxes, fitted=fitted)


def check_anchors(advice: AnchorAdvice, space: Space, *, seed: int) -> Iterator[Diagnostic]:
    """Whether the anchors fit (F20), and what canvas they would need."""
    ious = best_ious(advice.boxes.boxes, advice.best.anchors, advice.boxes.canvas)
    canvas_advice = cache(partial(_canvas_advice, advice, space, seed))  # seconds: once, and only where it is given
    yield from _misfits(advice, ious, canvas_advice)
    yield from _only_forced(advice)
    yield from _few_pixels(advice.boxes, ious, canvas_advice)


def _canvas_advice(advice: AnchorAdvice, space: Space, seed: int) -> str:
    """The canvas on which the best anchors of the space are neither hopeless nor miss boxes of few pixels."""

    def is_enough(canvas: Canvas) -> bool:
        there = _enlarged(advice.boxes, canvas)
        derived = derived_anchors(there, space, seed=seed)
        ious = best_ious(there.boxes, derived.anchors if derived else advice.best.anchors, canvas)
        return not _is_hopeless(ious) and not _missed_below_good(there, ious)

    return larger_canvas(advice.boxes.canvas, GOOD_SIZE_PX / _low_size_px(advice.boxes), is_enough)


def _first(advice: AnchorAdvice) -> tuple[str, AnchorFit]:
    """Whose anchors trial 0 has, and their fit."""
    if STUDY in advice.fitted:
        return "trial 0's anchors", advice.fitted[STUDY].fit
    return "Detectron2's default anchors", advice.fitted[REFERENCE].fit


def _misfits(advice: AnchorAdvice, ious: Floats, canvas_advice: Callable[[], str]) -> Iterator[Diagnostic]:
    (whose, first), best = _first(advice), advice.best.fit
    if _is_hopeless(ious):
        missed = 1.0 - best.whole.half
        yield Diagnostic(
            name="anchors-hopeless",
            level=Level.ERROR,
            message=f"no anchors of this space fit: {missed:.0%} of the boxes reach no IoU of 0.5 with the best found",
            advice=f"{canvas_advice()}, or widen the anchor ranges of the space",
            count=round(missed * best.whole.boxes),
        )
    elif 1.0 - first.whole.half > MISFIT_SHARE:
        yield Diagnostic(
            name="anchors-misfit",
            level=Level.WARNING,
            message=f"{whose} reach an IoU of 0.5 with {first.whole.half:.0%} of the boxes only; "
            f"the derived ones with {best.whole.half:.0%}",
            advice="search or set the anchors that `doctor` proposes; `launch` tries the derived ones early",
            count=round((1.0 - first.whole.half) * first.whole.boxes),
            examples=tuple(f"{n}: {s.half:.0%}" for n, s in first.by_class.items() if s.boxes)[:5],
        )


def _only_forced(advice: AnchorAdvice) -> Iterator[Diagnostic]:
    whose, first = _first(advice)
    with_boxes = len(np.unique(advice.boxes.images))
    if first.images_without_positives > FORCED_IMAGES_SHARE * with_boxes:
        yield Diagnostic(
            name="anchors-only-forced",
            level=Level.WARNING,
            message=f"in {first.images_without_positives} of {with_boxes} images {whose} are positive by the "
            "low-quality rule alone, never by an IoU of 0.7",
            advice="the RPN learns from badly placed anchors there: use the derived ones",
            count=first.images_without_positives,
        )


def _few_pixels(boxes: CanvasBoxes, ious: Floats, canvas_advice: Callable[[], str]) -> Iterator[Diagnostic]:
    if missed := _missed_below_good(boxes, ious):
        yield Diagnostic(
            name="canvas-too-small",
            level=Level.WARNING,
            message=f"a tenth of the boxes are below {_low_size_px(boxes):.0f} px on the canvas of {boxes.canvas}, and "
            f"{missed} boxes below {GOOD_SIZE_PX:g} px there reach no IoU of 0.5 even with the best anchors: cells are "
            "4 px apart",
            advice=canvas_advice(),
            count=missed,
        )


def proposed_space(advice: AnchorAdvice, space: Space) -> dict[str, Parameter]:
    """Ranges of the anchor parameters around the derived values, within the limits of validity.

    They hold Detectron2's value where the study's own do, so that trial 0 stays the reference.
    """
    derived = advice.fitted.get(DERIVED)
    if derived is None:
        return {}
    own = {name: space.parameters[name] for name in ANCHOR_PARAMETERS}
    return own | {name: _around(name, value, own[name]) for name, value in derived.values.items()}


def _around(name: str, value: Value, own: Parameter) -> Parameter:
    default, (lowest, highest) = DEFINITIONS[name].default, DEFINITIONS[name].limits
    reference = DEFINITIONS[name].reference if own.contains(DEFINITIONS[name].reference) else value
    if isinstance(default, Float):
        low, high = max(float(value) / AROUND, lowest), min(float(value) * AROUND, highest)
        low, high = min(low, float(reference)), max(high, float(reference))
        return Float(low=three_digits(low), high=three_digits(high), log=default.log)
    step = default.step if isinstance(default, Int) else 1
    here, there = int(value), int(reference) if (int(reference) - int(value)) % step == 0 else int(value)
    least = here - step if here > step else here
    most = here + step if here + step <= highest else here
    return Int(low=min(least, there), high=max(most, there), step=step)


def _fitted(boxes: CanvasBoxes, anchors: Anchors, values: dict[str, Value]) -> FittedAnchors:
    return FittedAnchors(anchors=anchors, fit=fit_anchors(boxes, anchors), values=values)


def _is_hopeless(ious: Floats) -> bool:
    """Whether most boxes are missed; `ious` [n] are those with the best anchor of each."""
    return float((ious < HALF_IOU).mean()) > HOPELESS_SHARE


def _missed_below_good(boxes: CanvasBoxes, ious: Floats) -> int:
    """Boxes below the good size that are missed, where that is a notable part of all; else 0."""
    missed = int(((ious < HALF_IOU) & (boxes.sizes_px < GOOD_SIZE_PX)).sum())
    return missed if _low_size_px(boxes) < GOOD_SIZE_PX and missed > LOW_QUANTILE / 2 * len(ious) else 0


def _low_size_px(boxes: CanvasBoxes) -> float:
    return float(np.quantile(boxes.sizes_px, LOW_QUANTILE))


def _enlarged(boxes: CanvasBoxes, canvas: Canvas) -> CanvasBoxes:
    """About the same boxes on a larger canvas: by its smaller factor, as an image is scaled that fills it."""
    factor = min(canvas.height_px / boxes.canvas.height_px, canvas.width_px / boxes.canvas.width_px)
    return replace(boxes, canvas=canvas, boxes=boxes.boxes * factor)
