"""The model as one of Optuna's samplers."""

from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial
from scipy.linalg import LinAlgError

from search.policy.model.choice import chosen
from search.policy.model.cube import Cube, Side
from search.policy.model.history import History
from spaces.parameters import Float, Int

FEWEST_READ = 2  # trials between which there is a difference


class ModelSampler(optuna.samplers.BaseSampler):
    """Proposes whole points of a space by what trials have shown at their rungs; at random before enough have.

    The history may be another sampler's of the same study: it remembers what it has seen.
    """

    def __init__(self, cube: Cube, history: History, *, seed: int, startup_trials: int) -> None:
        self._cube = cube
        self._history = history
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
        evidence = self._history.evidence(study.get_trials(deepcopy=False), but=trial.number)
        if len(evidence.read) < max(FEWEST_READ, self._startup_trials):
            return {}
        try:
            generator = np.random.default_rng(self._seed)
            return self._cube.point(chosen(self._cube, evidence, generator, self._history.fits))
        except LinAlgError:  # points so alike that rounding leaves no covariance: one at random parts them
            return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value at random."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def _distribution(side: Side) -> BaseDistribution:
    match side.parameter:
        case Float(low=low, high=high, log=log):
            return FloatDistribution(low, high, log=log)
        case Int(low=low, high=high, step=step, log=log):
            return IntDistribution(low, high, log=log, step=step)
        case choice:
            return CategoricalDistribution(choice.values)
