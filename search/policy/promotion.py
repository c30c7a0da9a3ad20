"""Which paused trial goes on to the next rung: asynchronous successive halving by promotion, with a quota.

The rule is ASHA's (Li et al. 2020, https://arxiv.org/abs/1810.05934) with the delay of Tune's and Syne Tune's variants:
of those that reached a rung, at most one in `factor` has gone on in all, the best of the waiting first. A trial that
is better than every other at its rung goes on at once, whatever the quota says. Ties are no reason to go on.

Why not the stopping rule (`pruning.RungPruner`): it lets the best third of *earlier* trials go on, and where the
sampler improves, nearly every new one is among them.
"""

from collections.abc import Collection, Mapping, Sequence

Values = Mapping[int, Mapping[int, float]]  # by trial and rung, larger is better


def promoted(values: Values, waiting: Collection[int], rungs: Sequence[int], *, factor: int) -> int | None:
    """The trial that is to go on now; None where new ones are of more use.

    `values` has every trial that was read at a rung, however it ended; `waiting` are those that paused at the last
    rung that they have a value of. The highest rung is looked at first. Of equals the one with the lower number goes.
    """
    due = (_due(values, waiting, rung, factor) for rung in _descending(rungs))
    return next((trial for trial in due if trial is not None), None)


def leading(values: Values, waiting: Collection[int], rungs: Sequence[int]) -> int | None:
    """The waiting trial that is ahead: the best at the highest rung at which one waits; None where none waits."""
    for rung in _descending(rungs):
        if there := _waiting_at(values, waiting, rung):
            return _best(values, there, rung)
    return None


def surplus(values: Values, waiting: Collection[int], rungs: Sequence[int], *, most: int) -> list[int]:
    """The waiting trials that at least `most` others at their rung are ahead of."""
    return [
        trial
        for rung in _descending(rungs)
        for trial in sorted(_waiting_at(values, waiting, rung), key=lambda one: (-values[one][rung], one))[most:]
    ]


def last_rung(values: Mapping[int, float]) -> int:
    """The highest rung that a trial has a value of; 0 before the first."""
    return max(values, default=0)


def _due(values: Values, waiting: Collection[int], rung: int, factor: int) -> int | None:
    reached = [trial for trial, own in values.items() if rung in own]
    there = _waiting_at(values, waiting, rung)
    if len(reached) < factor or not there:
        return None
    best = _best(values, there, rung)
    record = all(values[best][rung] > values[other][rung] for other in reached if other != best)
    return best if record or len(reached) - len(there) < len(reached) // factor else None


def _waiting_at(values: Values, waiting: Collection[int], rung: int) -> list[int]:
    return [trial for trial in waiting if last_rung(values.get(trial, {})) == rung]


def _best(values: Values, trials: Collection[int], rung: int) -> int:
    return max(trials, key=lambda trial: (values[trial][rung], -trial))


def _descending(rungs: Sequence[int]) -> Sequence[int]:
    """Where a trial can pause: every rung but the last, at which it is complete."""
    return sorted(rungs)[-2::-1]
