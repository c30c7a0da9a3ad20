"""Values of a parameter that trials survived: the one cut of its range that best separates failures from healthy ones.

A cut is reported only where chance is an unlikely explanation. With many cuts through many parameters some look good by
chance, so each parameter's best is compared with the best of the same trials with their ends shuffled. Trials that
ended by no fault of their configuration are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from search.report.trial_history import TrialHistory
from search.report.value_text import value_text
from spaces.anchor_fit import Floats
from spaces.catalogue import RATES
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Float, Int, Parameter, Value

LARGEST_CHANCE = 0.02  # of some twenty parameters less than one is reported wrongly in two studies
LARGEST_CHANCE_OF_RATE = 0.1  # that a high rate diverges is no surprise
MOST_SHUFFLES, FEWEST_SHUFFLES = 2000, 200  # of few and of many trials, for time and memory
SHUFFLED_CELLS = 1_000_000
MOST_LIMITS = 50  # that are tried, evenly among the values'


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Trials on the worse side of a cut through one parameter's range, and the others."""

    parameter: str
    limit: Value  # a number, or the one text value that is worse
    worse: str  # `above`, `at or below`; for a text `equal`, `unequal`
    failed_worse: int
    trials_worse: int
    failed_other: int
    trials_other: int
    chance: float  # that the best cut of shuffled trials looks as good, in (0, 1]

    def holds(self, value: Value | None) -> bool:
        """Whether a value lies on the worse side."""
        return value is not None and _beyond(value, self.limit) == (self.worse in ("above", "equal"))

    def __str__(self) -> str:
        return (
            f"{self.parameter} {self.worse} {value_text(self.limit)}: {self.failed_worse} of {self.trials_worse} "
            f"trials failed; otherwise {self.failed_other} of {self.trials_other} (chance: {self.chance:.1%})"
        )


def cuts(history: TrialHistory) -> tuple[Cut, ...]:
    """The cut of each parameter that best separates failures, where it is not chance; the clearest first."""
    records = [
        record
        for record in history.records
        if record.healthy or (record.failed and not (record.ending and record.ending.blameless))
    ]
    found = []
    for name, parameter in history.space.parameters.items():
        tried = [(record.point[name], record.failed) for record in records if name in record.trial.params]
        best = _best_cut(name, parameter, tried)
        limit = LARGEST_CHANCE_OF_RATE if name in RATES.values() else LARGEST_CHANCE
        if best is not None and best.chance <= limit:
            found.append(best)
    return tuple(sorted(found, key=lambda cut: (cut.chance, cut.parameter)))


def narrowed(space: Space, found: Sequence[Cut]) -> dict[str, Parameter]:
    """The ranges of the space without the worse sides; parameters that would be left without a range stay out."""
    ranges = {cut.parameter: _narrowed(space.parameters[cut.parameter], cut) for cut in found}
    return {name: parameter for name, parameter in ranges.items() if parameter is not None}


def _narrowed(parameter: Parameter, cut: Cut) -> Parameter | None:
    if isinstance(parameter, Categorical):
        kept = tuple(value for value in parameter.values if not cut.holds(value))
        return Categorical(values=kept) if kept else None
    if isinstance(cut.limit, str) or not isinstance(parameter, Float | Int):
        return None
    above = cut.worse == "above"
    if isinstance(parameter, Float):
        low, high = (parameter.low, cut.limit) if above else (cut.limit, parameter.high)
        return Float(low=float(low), high=float(high), log=parameter.log) if low < high else None
    kept_numbers = [n for n in range(parameter.low, parameter.high + 1, parameter.step) if not cut.holds(n)]
    if len(kept_numbers) < 2:
        return Categorical(values=tuple(kept_numbers)) if kept_numbers else None
    return Int(low=kept_numbers[0], high=kept_numbers[-1], step=parameter.step, log=parameter.log)


def _best_cut(name: str, parameter: Parameter, tried: Sequence[tuple[Value, bool]]) -> Cut | None:
    """The cut with the largest difference of failures between its sides; None where all values or ends are equal."""
    limits = _limits(parameter, [value for value, _ in tried])
    failed = np.array([ended for _, ended in tried], dtype=float)  # [n]
    if not limits or failed.all() or not failed.any():
        return None
    sides = np.array([[_beyond(value, limit) for value, _ in tried] for limit in limits], dtype=float)  # [cuts, n]
    scores = _scores(sides, failed[None])[0]
    best = int(np.abs(scores).argmax())
    shuffles = min(MOST_SHUFFLES, max(FEWEST_SHUFFLES, SHUFFLED_CELLS // len(failed)))
    shuffled = np.random.default_rng(0).permuted(np.tile(failed, (shuffles, 1)), axis=1)
    as_good = (np.abs(_scores(sides, shuffled)).max(axis=1) >= abs(scores[best]) - 1e-9).sum()
    text = isinstance(limits[best], str)
    worse = sides[best] if scores[best] > 0 else 1 - sides[best]
    words = ("equal" if scores[best] > 0 else "unequal") if text else ("above" if scores[best] > 0 else "at or below")
    return Cut(
        parameter=name,
        limit=limits[best],
        worse=words,
        failed_worse=int(failed @ worse),
        trials_worse=int(worse.sum()),
        failed_other=int(failed @ (1 - worse)),
        trials_other=int((1 - worse).sum()),
        chance=float((1 + as_good) / (1 + shuffles)),
    )


def _scores(sides: Floats, failed: Floats) -> Floats:
    """[studies, cuts]: by how many standard deviations the failures beyond a cut exceed what chance would put there."""
    count, share = sides.shape[1], failed.mean(axis=1, keepdims=True)
    beyond = sides.sum(axis=1)  # [cuts]
    deviation = np.sqrt(beyond * (count - beyond) * share * (1 - share) / (count - 1))
    return (failed @ sides.T - beyond * share) / deviation


def _limits(parameter: Parameter, values: Sequence[Value]) -> list[Value]:
    """The places to cut: between any two neighbouring numbers, or at each of the texts."""
    texts = sorted({value for value in values if isinstance(value, str)})
    numbers = sorted({value for value in values if not isinstance(value, str)})
    if texts:
        return [*texts] if len(texts) > 1 else []
    between = [_between(parameter, low, high) for low, high in pairwise(numbers)]
    chosen = np.linspace(0, len(between) - 1, min(MOST_LIMITS, len(between)))
    return [between[int(index)] for index in chosen]


def _beyond(value: Value, limit: Value) -> bool:
    if isinstance(value, str) or isinstance(limit, str):
        return value == limit
    return value > limit


def _between(parameter: Parameter, low: float, high: float) -> float:
    """A round number between two that were tried, in the middle as the parameter counts it."""
    log = isinstance(parameter, Float | Int) and parameter.log and low > 0
    middle = math.sqrt(low * high) if log else (low + high) / 2
    rounded = float(f"{middle:.2g}")
    return rounded if low <= rounded < high else middle
