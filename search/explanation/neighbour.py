"""The healthy trial that differs least from one that failed, and in what they differ.

Distances are shares of a parameter's range, as the study counts it (logarithmically where it samples so), in [0, 1].
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from search.report.trial_history import TrialHistory, TrialRecord
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Float, Int, Parameter, Value

NOTICEABLE = 0.02  # of a range; less is no difference
MINOR = 0.25  # how much a difference counts in a parameter that hardly decides whether training fails
DECISIVE = frozenset(
    {
        "optimizer",
        "lr_per_16",
        "adam_lr_per_16",
        "rpn_lr_factor",
        "momentum",
        "warmup_fraction",
        "clip_norm",
        "batch_size",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One parameter in which two trials differ; None where it has no effect in one of them."""

    parameter: str
    here: Value | None
    there: Value | None
    distance: float  # in [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A healthy trial and what sets it apart, what counts most first."""

    trial: int
    ap: float | None  # at its last rung
    differences: tuple[Difference, ...]

    def distance(self, parameter: str) -> float:
        """How far apart the two are in that parameter."""
        return next((each.distance for each in self.differences if each.parameter == parameter), 0.0)

    def value(self, parameter: str) -> Value | None:
        """The parameter's value in the healthy trial; None where it does not differ."""
        return next((each.there for each in self.differences if each.parameter == parameter), None)


def nearest_healthy(record: TrialRecord, history: TrialHistory) -> Neighbour | None:
    """The healthy trial nearest to this one, itself excepted, or None where there is no other.

    What shapes an update counts in full, everything else (anchors, later decays) a quarter.
    """
    others = [other for other in history.healthy if other.number != record.number]
    compared = [(other, parameter_differences(record, other, history.space)) for other in others]
    if not compared:
        return None
    nearest, apart = min(compared, key=lambda pair: (_length(pair[1]), pair[0].number))
    ap = nearest.rungs[-1].ap if nearest.rungs and math.isfinite(nearest.rungs[-1].ap) else None
    return Neighbour(trial=nearest.number, ap=ap, differences=apart)


def parameter_differences(record: TrialRecord, other: TrialRecord, space: Space) -> tuple[Difference, ...]:
    """The parameters in which two trials differ noticeably, what counts most first."""
    found = (
        Difference(
            parameter=name,
            here=record.point.get(name),
            there=other.point.get(name),
            distance=distance(parameter, record.point.get(name), other.point.get(name)),
        )
        for name, parameter in space.parameters.items()
    )
    return tuple(sorted((each for each in found if each.distance > NOTICEABLE), key=lambda each: -_counted(each)))


def distance(parameter: Parameter, one: Value | None, other: Value | None) -> float:
    """How far apart two values are, as a share of the parameter's range; 1 where only one trial has it."""
    if one == other:
        return 0.0
    if isinstance(one, str) or isinstance(other, str) or one is None or other is None:
        return 1.0
    low, high, log = _range(parameter)
    if high <= low:
        return 0.0
    if log and low > 0 and one > 0 and other > 0:
        return min(1.0, abs(math.log(one / other)) / math.log(high / low))
    return min(1.0, abs(one - other) / (high - low))


def _length(apart: Iterable[Difference]) -> float:
    return math.fsum(_counted(each) ** 2 for each in apart)


def _counted(each: Difference) -> float:
    return (1.0 if each.parameter in DECISIVE else MINOR) * each.distance


def _range(parameter: Parameter) -> tuple[float, float, bool]:
    match parameter:
        case Float() | Int():
            return parameter.low, parameter.high, parameter.log
        case Categorical():
            numbers = [float(value) for value in parameter.values if not isinstance(value, str)]
            return (min(numbers), max(numbers), True) if numbers else (0.0, 0.0, False)
        case _:
            return 0.0, 0.0, False
