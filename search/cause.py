"""From the rule that ended a trial to what lies behind it, and to the changes that can mend it: one table.

A rule says what was seen (`detector/watch.py`), a cause why it happens. The remedies of an entry stand in the order in
which they are likely to be the whole repair; `search/repair.py` makes values of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from search.case import Case
from search.outcomes import Outcome


class Cause(StrEnum):
    """Why trials fail, in words that need no context."""

    RATE_TOO_HIGH = "learning rate too high"
    WARM_UP_TOO_SHORT = "warm-up too short"
    RATE_TOO_LOW = "learning rate too low"
    ANCHORS = "anchors do not fit the boxes"
    STARVED_HEAD = "no good proposals for the box head"
    BACKGROUND = "everything is called background"
    BAD_START = "wrong from the first step: weights, pixels or labels"
    CORRUPT_SAMPLE = "one image or its boxes are corrupt"
    DATA = "image or annotation files are bad"
    MEMORY = "memory ran out"
    TRAINER = "the trainer process died"
    UNKNOWN = "not known to this version"


class Remedy(StrEnum):
    """One kind of change."""

    LOWER_RATE = "lower the learning rate"
    RAISE_RATE = "raise the learning rate"
    LOWER_RPN_FACTOR = "lower the RPN's learning rate"
    LONGER_WARM_UP = "warm up longer"
    CLIP_LOWER = "clip gradients lower"
    FIT_ANCHORS = "derive the anchors from the boxes"
    LARGER_BATCH = "use a larger batch"
    SMALLER_MICRO_BATCH = "use a smaller micro-batch"
    FULL_PRECISION = "compute in float32"
    MEND_IMAGES = "mend or remove the images"
    EXAMINE_DATA = "examine the data"
    EXAMINE_START = "check weights and preprocessing"
    READ_LOG = "read the trainer's log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a rule points to."""

    cause: Cause
    because: str
    remedies: tuple[Remedy, ...]


_RATE = (Remedy.LOWER_RATE, Remedy.LONGER_WARM_UP, Remedy.CLIP_LOWER, Remedy.LOWER_RPN_FACTOR, Remedy.FULL_PRECISION)

EXPLODED = Entry(
    cause=Cause.RATE_TOO_HIGH,
    because="each update overshot, so that the losses grew from step to step; a smaller step is what stops that",
    remedies=_RATE,
)
_DEAD = Entry(
    cause=Cause.RATE_TOO_LOW,
    because="the updates are so small beside the weights that nothing changes within the budget",
    remedies=(Remedy.RAISE_RATE,),
)
_START = Entry(
    cause=Cause.BAD_START,
    because="it was wrong before the first update, so no learning rate can be to blame",
    remedies=(Remedy.EXAMINE_START, Remedy.EXAMINE_DATA),
)
_ANCHORS = Entry(
    cause=Cause.ANCHORS,
    because="hardly any anchor overlaps a box enough to be a positive example for the RPN",
    remedies=(Remedy.FIT_ANCHORS, Remedy.EXAMINE_DATA),
)

#: By the names that the watch gives its rules.
RULES: Mapping[str, Entry] = {
    "not finite": EXPLODED,
    "exploding": EXPLODED,
    "not learning": _DEAD,
}

#: For trials that ended without a rule of the watch.
OUTCOMES: Mapping[str, Entry] = {
    Outcome.DIVERGED: EXPLODED,
    Outcome.NOT_LEARNING: _DEAD,
    Outcome.OUT_OF_MEMORY: Entry(
        cause=Cause.MEMORY,
        because="what one forward and backward pass needs did not fit; that depends on the micro-batch and the canvas, "
        "not on the batch size, which is accumulated",
        remedies=(Remedy.SMALLER_MICRO_BATCH,),
    ),
    Outcome.BAD_DATA: Entry(
        cause=Cause.DATA,
        because="a file that the trial needed could not be read or broke a rule of its format",
        remedies=(Remedy.MEND_IMAGES, Remedy.EXAMINE_DATA),
    ),
    Outcome.CRASHED: Entry(
        cause=Cause.TRAINER,
        because="the process ended by itself or was killed; no hyperparameter is known to be at fault",
        remedies=(Remedy.READ_LOG,),
    ),
}

_CORRUPT = Entry(
    cause=Cause.CORRUPT_SAMPLE,
    because="only box losses were not finite, and other trials stayed healthy at this learning rate and above",
    remedies=(Remedy.MEND_IMAGES, Remedy.EXAMINE_DATA, *_RATE),
)
_UNKNOWN = Entry(cause=Cause.UNKNOWN, because="nothing in the table speaks of it", remedies=(Remedy.LOWER_RATE,))
_BOX_TERMS = frozenset({"loss_rpn_box", "loss_roi_box"})


def diagnose(case: Case, *, rate_is_proven: bool) -> Entry | None:
    """What lies behind the end of a trial, or None where it did not fail.

    `rate_is_proven`: another trial stayed healthy at this learning rate or above.
    """
    if case.outcome is None or not case.failed:
        return None
    if case.rule == "not finite":
        terms = frozenset(str(case.outcome.evidence.get("terms", "")).split(", "))
        if case.outcome.step == 0:
            return _START
        if rate_is_proven and terms <= _BOX_TERMS:
            return _CORRUPT
    return RULES.get(case.rule) or OUTCOMES.get(case.ending, _UNKNOWN)
