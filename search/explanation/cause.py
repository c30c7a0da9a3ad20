"""One table: the cause behind each rule that ends a trial, and the changes that can mend it.

A rule says what was seen (`detector/watch`; docs/explain.md has the table), a cause why it happens. The remedies of
an entry stand in the order in which they are likely to be the whole repair; `search/explanation/remedies.py` makes
values of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from search.policy.screens.reference_rate import mostly_diverges
from search.report.trial_history import TrialRecord


class Cause(StrEnum):
    """Why trials fail, in words that need no context."""

    RATE_TOO_HIGH = "learning rate too high"
    WARM_UP_TOO_SHORT = "warm-up too short"
    RATE_TOO_LOW = "learning rate too low"
    ANCHORS = "anchors do not fit the boxes"
    PROPOSALS = "region proposals do not improve"
    BACKGROUND = "everything is called background"
    BAD_START = "initial weights are wrong"
    PIXELS = "pixels are stored or scaled wrongly"
    CORRUPT_SAMPLE = "single images or their boxes are corrupt"
    DATA = "images, boxes or labels are bad"
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

_EXPLODED = Entry(
    cause=Cause.RATE_TOO_HIGH,
    because="each update overshot, so that the losses grew from step to step; a smaller step is what stops that",
    remedies=_RATE,
)
_RPN_EXPLODED = Entry(
    cause=Cause.RATE_TOO_HIGH,
    because="the region proposals were thrown far off by updates that are too large",
    remedies=(*dict.fromkeys((Remedy.LOWER_RPN_FACTOR, *_RATE)), Remedy.FIT_ANCHORS),
)
_SPIKED = Entry(
    cause=Cause.WARM_UP_TOO_SHORT,
    because="the gradient jumped while the learning rate was still new to the weights",
    remedies=tuple(dict.fromkeys((Remedy.LONGER_WARM_UP, *_RATE))),
)
_DEAD = Entry(
    cause=Cause.RATE_TOO_LOW,
    because="the updates are so small beside the weights that nothing changes within the budget",
    remedies=(Remedy.RAISE_RATE, Remedy.EXAMINE_DATA),
)
_WEIGHTS = Entry(
    cause=Cause.BAD_START,
    because="it was wrong before the first update, so no hyperparameter can be to blame",
    remedies=(Remedy.EXAMINE_START, Remedy.EXAMINE_DATA),
)
_PIXELS = Entry(
    cause=Cause.PIXELS,
    because="the network is not given what 8-bit pictures look like",
    remedies=(Remedy.EXAMINE_DATA, Remedy.EXAMINE_START),
)
_ANCHORS = Entry(
    cause=Cause.ANCHORS,
    because="hardly any anchor overlaps a box enough to be an example of an object",
    remedies=(Remedy.FIT_ANCHORS, Remedy.EXAMINE_DATA),
)
_FEW = Entry(
    cause=Cause.ANCHORS,
    because="anchors far larger than the canvas are all cut to the same box, of which hardly any survives",
    remedies=(Remedy.FIT_ANCHORS, Remedy.EXAMINE_DATA),
)
_PROPOSALS = Entry(
    cause=Cause.PROPOSALS,
    because="the first stage learned nothing that the second could build on",
    remedies=(Remedy.FIT_ANCHORS, Remedy.RAISE_RATE, Remedy.EXAMINE_DATA),
)
_BACKGROUND = Entry(
    cause=Cause.BACKGROUND,
    because="calling everything background is the cheapest answer where updates are rough or objects rare in a batch",
    remedies=(Remedy.LOWER_RATE, Remedy.LARGER_BATCH, Remedy.EXAMINE_DATA),
)
_BACKGROUND_EVERYWHERE = Entry(
    cause=Cause.BACKGROUND,
    because="no trial of the study was healthy, so the labels are likelier to be wrong than each configuration",
    remedies=(Remedy.EXAMINE_DATA, Remedy.LOWER_RATE, Remedy.LARGER_BATCH),
)
_DATA = Entry(
    cause=Cause.DATA,
    because="images, boxes or labels are not what they must be; no hyperparameter mends that",
    remedies=(Remedy.MEND_IMAGES, Remedy.EXAMINE_DATA),
)
_UNKNOWN = Entry(cause=Cause.UNKNOWN, because="nothing in the table speaks of it", remedies=(Remedy.READ_LOG,))

#: By what ended a trial: the name that the watch gives its rule, or, where no rule did, the word of the outcome.
ENDED_BY: Mapping[str, Entry] = {
    "not finite": _EXPLODED,
    "exploding": _EXPLODED,
    "update too large": _EXPLODED,
    "saturated logits": _EXPLODED,
    "degenerate proposals": _RPN_EXPLODED,
    "gradient spike": _SPIKED,
    "not learning": _DEAD,
    "idle part": _DEAD,
    "no positives": _ANCHORS,
    "low-quality matches": _ANCHORS,
    "few proposals": _FEW,
    "rpn stuck": _PROPOSALS,
    "roi head starved": _PROPOSALS,
    "background collapse": _BACKGROUND,
    "pixel scaling": _PIXELS,
    "unusual pixels": _PIXELS,
    "features": _WEIGHTS,
    "untrained batch norm": _WEIGHTS,
    "losses at step 0": _WEIGHTS,
    "not finite at the start": _WEIGHTS,
    "label range": _DATA,
    "corrupt sample": Entry(
        cause=Cause.CORRUPT_SAMPLE,
        because="it spoils the losses on the initial weights too, all alone, so no hyperparameter is to blame",
        remedies=(Remedy.MEND_IMAGES, Remedy.EXAMINE_DATA),
    ),
    "diverged": _EXPLODED,
    "out of memory": Entry(
        cause=Cause.MEMORY,
        because="what one forward and backward pass needs did not fit; that depends on the micro-batch and the canvas, "
        "not on the batch size, which is accumulated",
        remedies=(Remedy.SMALLER_MICRO_BATCH,),
    ),
    "bad data": _DATA,
    "crashed": Entry(
        cause=Cause.TRAINER,
        because="the process ended by itself or was killed; no hyperparameter is known to be at fault",
        remedies=(Remedy.READ_LOG,),
    ),
}

SPIKE = "gradient spike"


def diagnose(record: TrialRecord, *, others_are_healthy: bool) -> Entry | None:
    """What lies behind the end of a trial; for one that did not fail, behind its first warning; else None."""
    if not record.failed:
        return next((ENDED_BY[name] for name in record.warnings if name in ENDED_BY), None)
    entry = ENDED_BY.get(record.rule) or ENDED_BY.get(str(record.ending), _UNKNOWN)
    if entry is _EXPLODED and SPIKE in record.warnings:
        entry = _SPIKED
    if entry is _SPIKED and _rate_is_far_too_high(record):
        return _EXPLODED
    if entry is _BACKGROUND and not others_are_healthy:
        return _BACKGROUND_EVERYWHERE
    return entry


def _rate_is_far_too_high(record: TrialRecord) -> bool:
    """A longer warm-up only puts off what such a rate does."""
    own = record.hyperparameters
    return own is not None and mostly_diverges(own.optimizer, own.lr_per_16)
