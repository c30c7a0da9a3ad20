"""The smallest change that should mend a trial: one parameter, with a value that the study's other trials support."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from detector.config import Hyperparameters, Precision
from search.explanation.cause import Entry, Remedy
from search.explanation.effects.rate_boundary import CLEAR_FACTOR, clear_rate, per_16, rate_is_proven, rate_points
from search.explanation.neighbour import Neighbour
from search.report.trial_history import TrialHistory, TrialRecord
from search.report.value_text import value_text
from spaces.catalogue import DEFINITIONS
from spaces.faster_rcnn import ANCHOR_PARAMETERS
from spaces.parameters import Fixed, Value, three_digits

RATE_FACTOR = 10.0  # where no other trial shows a value
WARM_UP_FACTOR, LEAST_WARM_UP = 3.0, 0.1  # of the budget: the top of the default range
EARLY_SHARE = 0.25  # of the budget; what happens later isn't for want of warm-up
NOTABLE_FACTOR = 1.2  # of the RPN's learning rate over the rest's
ANCHORS = "anchors"
RPN_TERMS = ("rpn", "clamped_deltas", "valid_proposals", "max_objectness")  # beside the RPN's losses


class Area(StrEnum):
    """What has to be changed; only a change of the trial's own parameters can be replayed."""

    PARAMETER = "parameter"
    STUDY = "study"  # another part of the study file, so a new study
    DATA = "data"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One change. `values` holds the parameters to set: one, or those that make up the anchors."""

    remedy: Remedy
    area: Area
    instruction: str  # what to do, as one sentence
    reason: str  # where the value comes from
    parameter: str = ""  # its name, or `anchors`; empty where no parameter changes
    before: Value | None = None
    after: Value | None = None
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _TrialContext:
    """A failed trial with what else a repair is worked out from."""

    record: TrialRecord
    history: TrialHistory
    neighbour: Neighbour | None
    own: Hyperparameters

    def beside(self, parameter: str) -> Value | None:
        """The parameter's value in the nearest healthy trial; None where it does not differ."""
        return self.neighbour.value(parameter) if self.neighbour else None

    def clearly_below(self, parameter: str, own: float) -> tuple[float, str] | None:
        """The nearest healthy trial's value, where that is clearly lower, and where it comes from."""
        beside = self.beside(parameter)
        if self.neighbour is None or not isinstance(beside, float) or beside > own / CLEAR_FACTOR:
            return None
        return three_digits(beside), f"as in the healthy trial that differs least ({self.neighbour.trial})"


def repairs(
    record: TrialRecord, history: TrialHistory, entry: Entry, neighbour: Neighbour | None
) -> tuple[Repair, ...]:
    """The changes that can mend the trial, the most likely first; empty where its configuration is unreadable.

    The entry's order stands, unless another trial stayed healthy at this learning rate: then the rate alone isn't to
    blame, and the parameter that sets the nearest healthy trial most apart comes first.
    """
    if record.hyperparameters is None:
        return ()
    context = _TrialContext(record=record, history=history, neighbour=neighbour, own=record.hyperparameters)
    found = [repair for remedy in entry.remedies if (repair := _MAKERS[remedy](context)) is not None]
    if neighbour is not None and rate_is_proven(record, history):
        found.sort(key=lambda repair: -_towards(repair, neighbour))
    return tuple(found)


def repaired(record: TrialRecord, history: TrialHistory, repair: Repair) -> Hyperparameters:
    """The trial's configuration with the repair's values; the study's ranges don't bind it.

    Raises:
        ConfigError: the trial's own configuration, or the result, is not valid.
    """
    fixed = {name: Fixed(value=value) for name, value in repair.values.items()}
    kept = {name: value for name, value in record.trial.params.items() if name not in fixed}
    return history.space.replaced(fixed).configuration(kept)


def _towards(repair: Repair, neighbour: Neighbour) -> float:
    """How far the repair's parameter sets the healthy trial apart, where that lies on the repair's side; else 0."""
    numbers = (repair.before, repair.after, neighbour.value(repair.parameter))
    if not all(isinstance(value, int | float) for value in numbers):
        return 0.0
    before, after, beside = (float(value) for value in numbers)  # type: ignore[arg-type]  # just checked
    return neighbour.distance(repair.parameter) if (after - before) * (beside - before) > 0 else 0.0


def _set(remedy: Remedy, name: str, before: Value, after: Value, *, verb: str, reason: str) -> Repair:
    """A repair that sets one parameter of the space."""
    return Repair(
        remedy=remedy,
        area=Area.PARAMETER,
        parameter=name,
        before=before,
        after=after,
        instruction=f"{verb} {name} from {value_text(before)} to {value_text(after)}",
        reason=reason,
        values={name: after},
    )


def _lower_rate(context: _TrialContext) -> Repair | None:
    name, own = context.record.rate_parameter, context.own.lr_per_16
    point = clear_rate(context.record, context.history)
    if (lower := context.clearly_below(name, own)) is not None:
        value, reason = lower
    elif point is None:
        value = max(three_digits(own / RATE_FACTOR), DEFINITIONS[name].limits[0])
        reason = "a tenth, because no trial of this study was healthy at half this rate or below"
    else:
        value = three_digits(per_16(point))
        where = "at this batch size" if point.batch_size == context.own.batch_size else f"at batch {point.batch_size}"
        reason = f"the highest rate clearly below it that stayed healthy in this study, {where} (trial {point.trial})"
    return _set(Remedy.LOWER_RATE, name, own, value, verb="lower", reason=reason)


def _raise_rate(context: _TrialContext) -> Repair | None:
    name, own = context.record.rate_parameter, context.own.lr_per_16
    points = [p for p in rate_points(context.history.healthy) if p.optimizer == context.own.optimizer]
    point = min((p for p in points if per_16(p) >= own * CLEAR_FACTOR), key=per_16, default=None)
    if point is None:
        value = min(three_digits(own * RATE_FACTOR), DEFINITIONS[name].limits[1])
        reason = "ten times, because no trial of this study was healthy at twice this rate or above"
    else:
        value = three_digits(per_16(point))
        reason = f"the lowest rate clearly above it at which this study's trials learned (trial {point.trial})"
    return _set(Remedy.RAISE_RATE, name, own, value, verb="raise", reason=reason)


def _lower_rpn_factor(context: _TrialContext) -> Repair | None:
    factor = context.own.rpn_lr_factor
    term = context.record.outcome.cause if context.record.outcome else ""
    if factor < NOTABLE_FACTOR or not (term in RPN_TERMS or term.startswith("loss_rpn")):
        return None
    reason = f"{term} failed first, and the RPN learned {factor:.2g} times as fast as the rest"
    return _set(Remedy.LOWER_RPN_FACTOR, "rpn_lr_factor", factor, 1.0, verb="lower", reason=reason)


def _longer_warm_up(context: _TrialContext) -> Repair | None:
    fraction, budget = context.own.warmup_fraction, context.history.specification.rungs[-1]
    early = context.record.images <= EARLY_SHARE * budget
    if fraction >= LEAST_WARM_UP or not early:
        return None
    beside = context.beside("warmup_fraction")
    least = max(LEAST_WARM_UP, WARM_UP_FACTOR * fraction)
    after = three_digits(min(0.5, max(least, beside if isinstance(beside, float) else 0.0)))
    reason = f"it failed after {context.record.images} images, {context.record.images / budget:.0%} of the budget"
    return _set(Remedy.LONGER_WARM_UP, "warmup_fraction", fraction, after, verb="raise", reason=reason)


def _clip_lower(context: _TrialContext) -> Repair | None:
    clip = context.own.clip_norm
    if clip <= 1.0:
        return None
    tenth = three_digits(max(1.0, clip / RATE_FACTOR)), "a tenth: a large gradient then moves the weights less"
    value, reason = context.clearly_below("clip_norm", clip) or tenth
    return _set(Remedy.CLIP_LOWER, "clip_norm", clip, value, verb="lower", reason=reason)


def _fit_anchors(context: _TrialContext) -> Repair | None:
    derived, point = context.history.specification.derived, context.record.point
    values = {name: value for name, value in (derived or {}).items() if name in ANCHOR_PARAMETERS}
    if not values:
        return Repair(
            remedy=Remedy.FIT_ANCHORS,
            area=Area.STUDY,
            parameter=ANCHORS,
            instruction="derive anchors from the boxes: `frcnn-search doctor --write-space`",
            reason="the study holds none that were derived from its data",
        )
    if all(point.get(name) == value for name, value in values.items()):
        return None
    return Repair(
        remedy=Remedy.FIT_ANCHORS,
        area=Area.PARAMETER,
        parameter=ANCHORS,
        instruction="use the anchors that were derived from the boxes: "
        + ", ".join(f"{name} {value_text(value)}" for name, value in values.items()),
        reason="they are trial 1's, fitted to the training boxes on the RPN's own grid",
        values=values,
    )


def _larger_batch(context: _TrialContext) -> Repair | None:
    own = context.own.batch_size
    larger = [size for size in context.history.space.batch_sizes() if size > own]
    if not larger:
        return None
    reason = "the next size of the study: a gradient over more images is less noisy"
    return _set(Remedy.LARGER_BATCH, "batch_size", own, larger[0], verb="raise", reason=reason)


def _smaller_micro_batch(context: _TrialContext) -> Repair | None:
    micro_batch, canvas = context.history.specification.micro_batch, context.history.specification.detector.canvas
    if micro_batch == 1:
        instruction, reason = f"choose a smaller detector.canvas than {canvas}", "one image at a time did not fit"
        return Repair(remedy=Remedy.SMALLER_MICRO_BATCH, area=Area.STUDY, instruction=instruction, reason=reason)
    half = max(size for size in range(1, micro_batch // 2 + 1) if micro_batch % size == 0)
    return Repair(
        remedy=Remedy.SMALLER_MICRO_BATCH,
        area=Area.STUDY,
        parameter="detector.micro_batch",
        before=micro_batch,
        after=half,
        instruction=f"set detector.micro_batch to {half} in place of {micro_batch}",
        reason="batches are accumulated from micro-batches, so results stay the same and memory is about halved",
    )


def _full_precision(context: _TrialContext) -> Repair | None:
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
    )


def _mend_images(context: _TrialContext) -> Repair | None:
    names = context.record.batch_images
    if not names:
        return None
    return Repair(
        remedy=Remedy.MEND_IMAGES,
        area=Area.DATA,
        instruction=f"look at these images and their boxes, and mend or remove them: {', '.join(names)}",
        reason="they are the batch in which it failed",
    )


def _examine_start(context: _TrialContext) -> Repair | None:
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
    instruction="run `frcnn-search doctor` and mend what it finds",
    reason="it checks every annotation and image file, in seconds",
)
_READ_LOG = Repair(
    remedy=Remedy.READ_LOG,
    area=Area.MACHINE,
    instruction="read the end of the trainer's log (evidence below; logs/ beside the study), then launch again",
    reason="the study goes on without this trial",
)
_MAKERS: Mapping[Remedy, Callable[[_TrialContext], Repair | None]] = {
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
