"""The trials of one study as the model learns from them; those that are over are looked at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from search.policy.model.choice import Evidence
from search.policy.model.cube import Cube
from search.policy.model.fitting import Fits
from search.policy.readings import readings
from trial.reading import Reading

FEWEST_ROWS = 64


class History:
    """For one thread and one study, whose trials become more."""

    def __init__(self, cube: Cube, rungs: Sequence[int]) -> None:
        self.fits = Fits()
        self._cube = cube
        self._rungs = tuple(rungs)
        self._looked_at = 0  # so many trials
        self._open: set[int] = set()  # of them, those that may still change
        kept = [
            ("shares", float, (len(cube.sides),)),
            ("values", float, (len(rungs),)),  # NaN from where it was not read
            ("errors", float, (len(rungs),)),
            ("failed", bool),  # its configuration cannot work
            ("running", bool),
        ]
        self._rows = np.zeros(FEWEST_ROWS, dtype=kept)  # by number

    def evidence(self, trials: Sequence[FrozenTrial], *, but: int | None = None) -> Evidence:
        """What a study's trials tell, which stand by their numbers; the one of number `but` tells nothing.

        One that was read at a rung counts with its readings, however it ended, unless by a constraint: such a
        configuration cannot work. One that runs and was not read is pending; the others tell nothing.
        """
        self._look_at(trials)
        rows = self._rows[: len(trials)]
        others, was_read = np.arange(len(trials)) != but, ~np.isnan(rows["values"][:, 0])
        read = np.flatnonzero(others & was_read & ~rows["failed"])
        pending = np.flatnonzero(others & rows["running"] & ~was_read)
        return Evidence(
            read=rows["shares"][read],
            readings=rows["values"][read],
            errors=rows["errors"][read],
            failed=rows["shares"][np.flatnonzero(others & rows["failed"])],
            pending=rows["shares"][pending],
        )

    def _look_at(self, trials: Sequence[FrozenTrial]) -> None:
        """Bring the rows up to date: at each proposal there may be thousands of trials that are over."""
        fresh = self._open | set(range(self._looked_at, len(trials)))
        for number in sorted(number for number in fresh if number < len(trials)):
            self._note(number, trials[number])
        self._looked_at = len(trials)

    def _note(self, number: int, trial: FrozenTrial) -> None:
        if number >= len(self._rows):
            self._rows = np.resize(self._rows, 2 * number)
        own, row = self._readings(trial), self._rows[number]
        row["shares"] = self._cube.shares(self._known(trial.params))
        row["values"] = [own[rung].value if rung in own else np.nan for rung in self._rungs]
        row["errors"] = [own[rung].error if rung in own else np.nan for rung in self._rungs]
        row["failed"] = trial.state is TrialState.PRUNED and any(value > 0 for value in trial.constraints.values())
        row["running"] = trial.state is TrialState.RUNNING and bool(trial.params)
        is_over = trial.state.is_finished() and trial.datetime_complete is not None  # not one only shown as pruned
        (self._open.discard if is_over else self._open.add)(number)

    def _readings(self, trial: FrozenTrial) -> dict[int, Reading]:
        """At the study's rungs, as far as none is missing before."""
        own = readings(trial)
        passed = next((n for n, rung in enumerate(self._rungs) if rung not in own), len(self._rungs))
        return {rung: own[rung] for rung in self._rungs[:passed]}

    def _known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values that the space has; others are of another version of it."""
        sides = self._cube.sides
        return {side.name: values[side.name] for side in sides if side.parameter.contains(values.get(side.name))}
