"""The repairs of a trial: the smallest changes that should mend it, in the order in which to try them."""

from dataclasses import fields, replace

from detector.config import Hyperparameters
from search.explanation.cause import Entry, diagnose
from search.explanation.effects.rate_boundary import rate_is_proven
from search.explanation.neighbour import Neighbour, nearest_healthy
from search.explanation.remedies import MAKERS
from search.explanation.repair import Area, Repair, TrialContext
from search.report.trial_history import TrialHistory, TrialRecord
from spaces.parameters import Fixed


def repairs(
    record: TrialRecord, history: TrialHistory, entry: Entry, neighbour: Neighbour | None
) -> tuple[Repair, ...]:
    """The changes that can mend the trial, the most likely first; empty where its configuration is unreadable.

    The entry's order stands, unless another trial stayed healthy at this learning rate: then the rate alone isn't to
    blame, and the parameter that sets the nearest healthy trial most apart comes first.
    """
    if record.hyperparameters is None:
        return ()
    context = TrialContext(record=record, history=history, neighbour=neighbour, own=record.hyperparameters)
    found = [repair for remedy in entry.remedies if (repair := MAKERS[remedy](context)) is not None]
    if neighbour is not None and rate_is_proven(record, history):
        found.sort(key=lambda repair: -_towards(repair, neighbour))
    return tuple(found)


def trial_repair(record: TrialRecord, history: TrialHistory) -> Repair | None:
    """The first change of the failed trial's own parameters that should mend it; None where there is none."""
    entry = diagnose(record, others_are_healthy=bool(history.healthy))
    found = repairs(record, history, entry, nearest_healthy(record, history)) if entry else ()
    return next((each for each in found if each.area is Area.PARAMETER), None)


def repaired(record: TrialRecord, history: TrialHistory, repair: Repair) -> Hyperparameters:
    """The trial's configuration with the repair's values; the study's ranges don't bind it.

    Raises:
        ConfigError: the trial's own configuration, or the result, is not valid.
    """
    fixed = {name: Fixed(value=value) for name, value in repair.values.items()}
    kept = {name: value for name, value in record.trial.params.items() if name not in fixed}
    changed, point = history.space.replaced(fixed).configuration(kept), history.space.configuration(record.trial.params)
    return changed if record.hyperparameters in (None, point) else _grafted(record.hyperparameters, point, changed)


def _grafted(own: Hyperparameters, before: Hyperparameters, after: Hyperparameters) -> Hyperparameters:
    """An imported configuration, which is no point of the space, with what the repair changes at the nearest point."""
    names = (field.name for field in fields(Hyperparameters))
    return replace(
        own, **{name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
    )


def _towards(repair: Repair, neighbour: Neighbour) -> float:
    """How far the repair's parameter sets the healthy trial apart, where that lies on the repair's side; else 0."""
    numbers = (repair.before, repair.after, neighbour.value(repair.parameter))
    if not all(isinstance(value, int | float) for value in numbers):
        return 0.0
    before, after, beside = (float(value) for value in numbers)  # type: ignore[arg-type]  # just checked
    return neighbour.distance(repair.parameter) if (after - before) * (beside - before) > 0 else 0.0
