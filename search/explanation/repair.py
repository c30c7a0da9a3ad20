"""The value of a repair: one change that should mend a trial, and how a change of one parameter is made of a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from detector.config import Hyperparameters
from detector.weight_files.starting_point import StartingPoint, starting_point
from search.explanation.cause import Remedy
from search.explanation.effects.rate_boundary import CLEAR_FACTOR
from search.explanation.neighbour import Neighbour
from search.explanation.study_edit import StudyEdit, widening, within_reach
from search.policy.screens.reference_rate import highest_rate, lowest_rate
from search.report.trial_history import TrialHistory, TrialRecord
from search.report.value_text import value_text
from spaces.parameters import Float, Value, three_digits
from spaces.section import write_parameter

OUTSIDE = "; outside of the study's space, which must be changed for it"


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
    study_edit: StudyEdit | None = None  # what the study file needs for it; None where the study has room for it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrialContext:
    """A failed trial with what else a repair is worked out from."""

    record: TrialRecord
    history: TrialHistory
    neighbour: Neighbour | None
    own: Hyperparameters

    @property
    def start(self) -> StartingPoint:
        """From where every trial of the study begins."""
        return starting_point(self.history.specification.detector.weights)

    @property
    def highest_rate(self) -> float:
        """The doctor's own limit of this trial's learning rate."""
        return highest_rate(self.own.optimizer, start=self.start, smallest_batch=min(self.history.space.batch_sizes()))

    def rates_with(self, rate: float) -> Float:
        """The doctor's range of learning rates, with room for that one: a wider one would hold what diverged."""
        low, high = lowest_rate(self.own.optimizer, start=self.start), self.highest_rate
        return Float(low=three_digits(min(low, rate)), high=max(three_digits(high), rate), log=True)

    def beside(self, parameter: str) -> Value | None:
        """The parameter's value in the nearest healthy trial; None where it does not differ."""
        return self.neighbour.value(parameter) if self.neighbour else None

    def clearly_below(self, parameter: str, own: float) -> tuple[float, str] | None:
        """The nearest healthy trial's value, where that is clearly lower, and where it comes from."""
        beside = self.beside(parameter)
        if self.neighbour is None or not isinstance(beside, float) or beside > own / CLEAR_FACTOR:
            return None
        return three_digits(beside), f"as in the healthy trial that differs least ({self.neighbour.trial})"


def set_parameter(
    context: TrialContext, remedy: Remedy, name: str, before: Value, after: Value, *, verb: str, reason: str
) -> Repair:
    """A repair that sets one parameter: to the end of the study's range, where that is most of the way.

    A learning rate stays within the doctor's limit all the same.
    """
    inside = within_reach(context.history.space.parameters[name], before, after)
    if name == context.record.rate_parameter and float(inside) > context.highest_rate:
        inside = after
    if inside != after:
        reason = f"as far as the study's range goes; {value_text(after)} would be {reason}"
    return _changed(context, remedy, name, before, inside, verb=verb, reason=reason)


def _changed(
    context: TrialContext, remedy: Remedy, name: str, before: Value, after: Value, *, verb: str, reason: str
) -> Repair:
    edit = widening(context.history.space, {name: after})
    if edit is not None and name == context.record.rate_parameter:
        edit = StudyEdit(settings={"space": {name: write_parameter(context.rates_with(float(after)))}})
    return Repair(
        remedy=remedy,
        area=Area.PARAMETER,
        parameter=name,
        before=before,
        after=after,
        instruction=f"{verb} {name} from {value_text(before)} to {value_text(after)}",
        reason=reason + (OUTSIDE if edit else ""),
        values={name: after},
        study_edit=edit,
    )
