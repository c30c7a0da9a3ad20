"""The model as one of Optuna's samplers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from search.policy.model.choice import Evidence, chosen
from search.policy.model.cube import Cube, Side
from search.policy.readings import readings
from spaces.faster_rcnn import Space
from spaces.parameters import Float, Int
from trial.reading import Reading

Array = NDArray[np.float64]


class ModelSampler(optuna.samplers.BaseSampler):
    """Proposes whole points of a space by what trials have shown at their rungs; at random before enough have.

    A trial that was read at a rung counts with its readings, however it ended, unless by a constraint: such a
    configuration cannot work. One that runs and was not read yet is expected to do as the model says; what failed by no
    fault of its configuration tells nothing.
    """

    def __init__(self, space: Space, *, rungs: Sequence[int], seed: int, startup_trials: int) -> None:
        self._cube = Cube.of(space)
        self._rungs = tuple(rungs)
        self._seed = seed
        self._startup_trials = startup_trials
        self._random = optuna.samplers.RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every parameter of the space, those included that not every trial has."""
        return {side.name: _distribution(side) for side in self._cube.sides}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The point to try; empty while too few trials were read."""
        others = [each for each in study.get_trials(deepcopy=False) if each.number != trial.number]
        read = [(each, own) for each in others if not _cannot_work(each) and (own := self._read(each))]
        if len(read) < max(2, self._startup_trials):
            return {}
        evidence = Evidence(
            read=self._shares([each for each, _ in read]),
            readings=self._table([{rung: one.value for rung, one in own.items()} for _, own in read]),
            errors=self._table([{rung: one.error for rung, one in own.items()} for _, own in read]),
            failed=self._shares([each for each in others if _cannot_work(each)]),
            pending=self._shares([each for each in others if self._is_pending(each)]),
        )
        return self._cube.point(chosen(self._cube, evidence, np.random.default_rng(self._seed)))

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value at random."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _read(self, trial: FrozenTrial) -> dict[int, Reading]:
        """The readings at the study's rungs, as far as none is missing before."""
        own = readings(trial)
        passed = next((n for n, rung in enumerate(self._rungs) if rung not in own), len(self._rungs))
        return {rung: own[rung] for rung in self._rungs[:passed]}

    def _is_pending(self, trial: FrozenTrial) -> bool:
        return trial.state is TrialState.RUNNING and bool(trial.params) and not self._read(trial)

    def _table(self, rows: list[dict[int, float]]) -> Array:
        return np.array([[row.get(rung, np.nan) for rung in self._rungs] for row in rows], dtype=np.float64)

    def _shares(self, trials: list[FrozenTrial]) -> Array:
        """[n, p]; values that the space doesn't have, of another version of it, lie in the middle."""
        shares = [self._cube.shares(self._known(trial.params)) for trial in trials]
        return np.array(shares).reshape(len(trials), len(self._cube.sides))

    def _known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        sides = self._cube.sides
        return {side.name: values[side.name] for side in sides if side.parameter.contains(values.get(side.name))}


def _cannot_work(trial: FrozenTrial) -> bool:
    return any(value > 0 for value in trial.constraints.values()) if trial.state is TrialState.PRUNED else False


def _distribution(side: Side) -> BaseDistribution:
    match side.parameter:
        case Float(low=low, high=high, log=log):
            return FloatDistribution(low, high, log=log)
        case Int(low=low, high=high, step=step, log=log):
            return IntDistribution(low, high, log=log, step=step)
        case choice:
            return CategoricalDistribution(choice.values)
