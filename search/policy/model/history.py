"""The trials of one study as the model learns from them; those that are over are looked at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from search.policy.model.choice import Evidence
from search.policy.model.cube import Cube
from search.policy.readings import readings
from trial.reading import Reading

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """One trial."""

    shares: Array  # [p]
    values: Array  # [k], NaN from where it was not read
    errors: Array  # [k]
    failed: bool  # its configuration cannot work
    running: bool

    @property
    def read(self) -> bool:
        return not np.isnan(self.values[0])


class History:
    """For one thread. Trials are known by their numbers."""

    def __init__(self, cube: Cube, rungs: Sequence[int]) -> None:
        self._cube = cube
        self._rungs = tuple(rungs)
        self._over: dict[int, _Row] = {}

    def evidence(self, trials: Iterable[FrozenTrial]) -> Evidence:
        """What these trials tell.

        One that was read at a rung counts with its readings, however it ended, unless by a constraint: such a
        configuration cannot work. One that runs and was not read is pending; the others tell nothing.
        """
        rows = [self._over.get(trial.number) or self._row(trial) for trial in trials]
        read = [row for row in rows if row.read and not row.failed]
        return Evidence(
            read=self._stacked([row.shares for row in read], len(self._cube.sides)),
            readings=self._stacked([row.values for row in read], len(self._rungs)),
            errors=self._stacked([row.errors for row in read], len(self._rungs)),
            failed=self._stacked([row.shares for row in rows if row.failed], len(self._cube.sides)),
            pending=self._stacked([row.shares for row in rows if row.running and not row.read], len(self._cube.sides)),
        )

    def _row(self, trial: FrozenTrial) -> _Row:
        own = self._readings(trial)
        row = _Row(
            shares=self._cube.shares(self._known(trial.params)),
            values=np.array([own[rung].value if rung in own else np.nan for rung in self._rungs]),
            errors=np.array([own[rung].error if rung in own else np.nan for rung in self._rungs]),
            failed=trial.state is TrialState.PRUNED and any(value > 0 for value in trial.constraints.values()),
            running=trial.state is TrialState.RUNNING and bool(trial.params),
        )
        if trial.state.is_finished() and trial.datetime_complete is not None:  # not one that only is shown as pruned
            self._over[trial.number] = row
        return row

    def _readings(self, trial: FrozenTrial) -> dict[int, Reading]:
        """At the study's rungs, as far as none is missing before."""
        own = readings(trial)
        passed = next((n for n, rung in enumerate(self._rungs) if rung not in own), len(self._rungs))
        return {rung: own[rung] for rung in self._rungs[:passed]}

    def _known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values that the space has; others are of another version of it."""
        sides = self._cube.sides
        return {side.name: values[side.name] for side in sides if side.parameter.contains(values.get(side.name))}

    @staticmethod
    def _stacked(rows: list[Array], width: int) -> Array:
        return np.array(rows).reshape(len(rows), width)
