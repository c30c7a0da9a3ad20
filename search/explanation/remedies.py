"""What each remedy comes to in a trial: one change, with a value that the study's other trials support, or none."""

from collections.abc import Callable, Mapping

from detector.config import CANVAS_MULTIPLE_PX, Canvas, Precision
from search.explanation.cause import Remedy
from search.explanation.effects.rate_boundary import CLEAR_FACTOR, clear_rate, per_16, rate_points
from search.explanation.repair import OUTSIDE, Area, Repair, TrialContext, set_parameter
from search.explanation.study_edit import StudyEdit, widening
from search.report.value_text import value_text
from spaces.catalogue import DEFINITIONS
from spaces.faster_rcnn import ANCHOR_PARAMETERS
from spaces.parameters import Fixed, three_digits

RATE_FACTOR = 10.0  # where no other trial shows a value
WARM_UP_FACTOR, LEAST_WARM_UP = 3.0, 0.1  # of the budget: the top of the default range
EARLY_SHARE = 0.25  # of the budget; what happens later isn't for want of warm-up
NOTABLE_FACTOR = 1.2  # of a learning rate over another; less makes no difference
SMALLER_SIDE = 0.75  # of a canvas that does not fit into memory
ANCHORS = "anchors"
RPN_TERMS = ("rpn", "clamped_deltas", "valid_proposals", "max_objectness")  # beside the RPN's losses


def _lower_rate(context: TrialContext) -> Repair | None:
    name, own = context.record.rate_parameter, context.own.lr_per_16
    value, reason = _lower_value(context, name, own)
    if value > context.highest_rate:
        value, reason = three_digits(context.highest_rate), "the highest rate that the doctor proposes"
    return (
        None
        if value >= own
        else set_parameter(context, Remedy.LOWER_RATE, name, own, value, verb="lower", reason=reason)
    )


def _lower_value(context: TrialContext, name: str, own: float) -> tuple[float, str]:
    """A rate below the trial's own that the study supports, and where it comes from."""
    point = clear_rate(context.record, context.history)
    if (lower := context.clearly_below(name, own)) is not None:
        return lower
    if point is None:
        value = max(three_digits(own / RATE_FACTOR), DEFINITIONS[name].limits[0])
        return value, "a tenth, because no trial of this study was healthy at half this rate or below"
    where = "at this batch size" if point.batch_size == context.own.batch_size else f"at batch {point.batch_size}"
    reason = f"the highest rate clearly below it that stayed healthy in this study, {where} (trial {point.trial})"
    return three_digits(per_16(point)), reason


def _raise_rate(context: TrialContext) -> Repair | None:
    name, own = context.record.rate_parameter, context.own.lr_per_16
    points = [p for p in rate_points(context.history.healthy) if p.optimizer == context.own.optimizer]
    point = min((p for p in points if per_16(p) >= own * CLEAR_FACTOR), key=per_16, default=None)
    if point is None:
        value = min(three_digits(own * RATE_FACTOR), DEFINITIONS[name].limits[1])
        reason = "ten times, because no trial of this study was healthy at twice this rate or above"
    else:
        value = three_digits(per_16(point))
        reason = f"the lowest rate clearly above it at which this study's trials learned (trial {point.trial})"
    if value > context.highest_rate:
        value, reason = three_digits(context.highest_rate), "the highest rate that the doctor proposes"
    if value < NOTABLE_FACTOR * own:
        return None
    return set_parameter(context, Remedy.RAISE_RATE, name, own, value, verb="raise", reason=reason)


def _lower_rpn_factor(context: TrialContext) -> Repair | None:
    factor = context.own.rpn_lr_factor
    term = context.record.outcome.cause if context.record.outcome else ""
    if factor < NOTABLE_FACTOR or not (term in RPN_TERMS or term.startswith("loss_rpn")):
        return None
    reason = f"{term} failed first, and the RPN learned {factor:.2g} times as fast as the rest"
    return set_parameter(context, Remedy.LOWER_RPN_FACTOR, "rpn_lr_factor", factor, 1.0, verb="lower", reason=reason)


def _longer_warm_up(context: TrialContext) -> Repair | None:
    fraction, budget = context.own.warmup_fraction, context.history.specification.rungs[-1]
    early = context.record.images <= EARLY_SHARE * budget
    if fraction >= LEAST_WARM_UP or not early:
        return None
    beside = context.beside("warmup_fraction")
    least = max(LEAST_WARM_UP, WARM_UP_FACTOR * fraction)
    after = three_digits(min(0.5, max(least, beside if isinstance(beside, float) else 0.0)))
    reason = f"it failed after {context.record.images} images, {context.record.images / budget:.0%} of the budget"
    return set_parameter(
        context, Remedy.LONGER_WARM_UP, "warmup_fraction", fraction, after, verb="raise", reason=reason
    )


def _clip_lower(context: TrialContext) -> Repair | None:
    clip = context.own.clip_norm
    if clip <= 1.0:
        return None
    tenth = three_digits(max(1.0, clip / RATE_FACTOR)), "a tenth: a large gradient then moves the weights less"
    value, reason = context.clearly_below("clip_norm", clip) or tenth
    return set_parameter(context, Remedy.CLIP_LOWER, "clip_norm", clip, value, verb="lower", reason=reason)


def _fit_anchors(context: TrialContext) -> Repair | None:
    derived, point = context.history.specification.derived, context.record.point
    values = {name: value for name, value in (derived or {}).items() if name in ANCHOR_PARAMETERS}
    if not values:
        return _derive_anchors(context)
    if all(point.get(name) == value for name, value in values.items()):
        return None
    edit = widening(context.history.space, values)
    return Repair(
        remedy=Remedy.FIT_ANCHORS,
        area=Area.PARAMETER,
        parameter=ANCHORS,
        instruction="use the anchors that were derived from the boxes: "
        + ", ".join(f"{name} {value_text(value)}" for name, value in values.items()),
        reason="they are trial 1's, fitted to the training boxes on the RPN's own grid" + (OUTSIDE if edit else ""),
        values=values,
        study_edit=edit,
    )


def _derive_anchors(context: TrialContext) -> Repair:
    """Ranges around anchors that the doctor derives, in place of what the study fixes."""
    space = context.history.space
    fixed = [name for name in ANCHOR_PARAMETERS if isinstance(space.parameters.get(name), Fixed)]
    return Repair(
        remedy=Remedy.FIT_ANCHORS,
        area=Area.STUDY,
        parameter=ANCHORS,
        instruction="let the doctor derive anchors from the boxes, in a study of its own",
        reason="the study holds none that were derived from its data",
        study_edit=StudyEdit(removed=(ANCHORS,) if space.anchors else tuple(fixed), by_doctor=True),
    )


def _larger_batch(context: TrialContext) -> Repair | None:
    own = context.own.batch_size
    larger = [size for size in context.history.space.batch_sizes() if size > own]
    if not larger:
        return None
    reason = "the next size of the study: a gradient over more images is less noisy"
    return set_parameter(context, Remedy.LARGER_BATCH, "batch_size", own, larger[0], verb="raise", reason=reason)


def _smaller_micro_batch(context: TrialContext) -> Repair | None:
    micro_batch, canvas = context.history.specification.micro_batch, context.history.specification.detector.canvas
    if micro_batch == 1:
        return _smaller_canvas(canvas)
    half = max(size for size in range(1, micro_batch // 2 + 1) if micro_batch % size == 0)
    return Repair(
        remedy=Remedy.SMALLER_MICRO_BATCH,
        area=Area.STUDY,
        parameter="detector.micro_batch",
        before=micro_batch,
        after=half,
        instruction=f"set detector.micro_batch to {half} in place of {micro_batch}",
        reason="batches are accumulated from micro-batches, so results stay the same and memory is about halved",
        study_edit=StudyEdit(settings={"detector": {"micro_batch": half}}),
    )


def _smaller_canvas(canvas: Canvas | None) -> Repair:
    """A canvas of about half the area, where there is one."""
    smaller = None if canvas is None else _scaled(canvas)
    return Repair(
        remedy=Remedy.SMALLER_MICRO_BATCH,
        area=Area.STUDY,
        parameter="detector.canvas",
        instruction=f"choose a smaller detector.canvas than {canvas}" + (f", such as {smaller}" if smaller else ""),
        reason="one image at a time did not fit",
        study_edit=StudyEdit(settings={"detector": {"canvas": str(smaller)}}) if smaller else None,
    )


def _scaled(canvas: Canvas) -> Canvas | None:
    sides = [int(SMALLER_SIDE * side) // CANVAS_MULTIPLE_PX for side in (canvas.height_px, canvas.width_px)]
    return (
        Canvas(height_px=sides[0] * CANVAS_MULTIPLE_PX, width_px=sides[1] * CANVAS_MULTIPLE_PX) if all(sides) else None
    )


def _full_precision(context: TrialContext) -> Repair | None:
    if context.history.specification.detector.precision is not Precision.BFLOAT16:
        return None
    return Repair(
        remedy=Remedy.FULL_PRECISION,
        area=Area.STUDY,
        parameter="detector.precision",
        before=Precision.BFLOAT16.value,
        after=Precision.FLOAT32.value,
        instruction="set detector.precision to float32",
        reason="the activations are bfloat16 here, which has 8 bits of precision",
        study_edit=StudyEdit(settings={"detector": {"precision": Precision.FLOAT32.value}}),
    )


def _mend_images(context: TrialContext) -> Repair | None:
    names = context.record.batch_images
    if not names:
        return None
    return Repair(
        remedy=Remedy.MEND_IMAGES,
        area=Area.DATA,
        instruction=f"look at these images and their boxes, and mend or remove them: {', '.join(names)}",
        reason="they are the batch in which it failed",
    )


def _examine_start(context: TrialContext) -> Repair | None:
    weights = context.history.specification.detector.weights
    return Repair(
        remedy=Remedy.EXAMINE_START,
        area=Area.STUDY,
        parameter="detector.weights",
        before=weights,
        instruction=f"check that detector.weights ({weights}) fits this backbone and this scaling of pixels",
        reason="only weights, pixels and labels have an effect before the first update",
    )


_EXAMINE_DATA = Repair(
    remedy=Remedy.EXAMINE_DATA,
    area=Area.DATA,
    instruction="run frcnn-search doctor and mend what it finds",
    reason="it checks every annotation and image file, in seconds",
)
_READ_LOG = Repair(
    remedy=Remedy.READ_LOG,
    area=Area.MACHINE,
    instruction="read the end of the trainer's log (evidence below; logs/ beside the study), then launch again",
    reason="the study goes on without this trial",
)
MAKERS: Mapping[Remedy, Callable[[TrialContext], Repair | None]] = {
    Remedy.LOWER_RATE: _lower_rate,
    Remedy.RAISE_RATE: _raise_rate,
    Remedy.LOWER_RPN_FACTOR: _lower_rpn_factor,
    Remedy.LONGER_WARM_UP: _longer_warm_up,
    Remedy.CLIP_LOWER: _clip_lower,
    Remedy.FIT_ANCHORS: _fit_anchors,
    Remedy.LARGER_BATCH: _larger_batch,
    Remedy.SMALLER_MICRO_BATCH: _smaller_micro_batch,
    Remedy.FULL_PRECISION: _full_precision,
    Remedy.MEND_IMAGES: _mend_images,
    Remedy.EXAMINE_DATA: lambda _: _EXAMINE_DATA,
    Remedy.EXAMINE_START: _examine_start,
    Remedy.READ_LOG: lambda _: _READ_LOG,
}
