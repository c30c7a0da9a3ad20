"""Whether the best trial is known to be the best: AP is measured on some images only, and others would give another."""

import math
from collections.abc import Sequence

from search.report.ranking import RankedTrial, best

SURE = 2.0  # standard errors of a difference; the validation images are the same, so this is on the cautious side


def alike(places: Sequence[RankedTrial]) -> tuple[RankedTrial, ...]:
    """The trials at the best one's rung whose AP is not distinguishable from its AP, by rank."""
    winner = best(places)
    if winner is None:
        return ()
    rivals = (place for place in places if place.rank is not None and place.rank > 1 and place.rung == winner.rung)
    return tuple(rival for rival in rivals if not _distinguishable(winner, rival))


def alike_text(winner: RankedTrial | None, rivals: Sequence[RankedTrial]) -> str:
    """`not distinguishable from trials 9 and 13; the cheapest of all is trial 13`; empty where there is none."""
    if winner is None or not rivals:
        return ""
    cheapest = min((winner, *rivals), key=lambda trial: (trial.training_s, trial.number))
    return f"not distinguishable from {_listed(rivals)}; the cheapest of all is trial {cheapest.number}"


def _distinguishable(one: RankedTrial, other: RankedTrial) -> bool:
    if one.ap_error is None or other.ap_error is None or one.ap is None or other.ap is None:
        return True
    return abs(one.ap - other.ap) > SURE * math.hypot(one.ap_error, other.ap_error)


def _listed(trials: Sequence[RankedTrial]) -> str:
    numbers = [str(trial.number) for trial in trials]
    if len(numbers) == 1:
        return f"trial {numbers[0]}"
    return f"trials {', '.join(numbers[:-1])} and {numbers[-1]}"
