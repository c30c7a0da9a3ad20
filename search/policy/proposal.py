"""What a trial is to try, made up before the trial exists, so that it can be judged, and then stored in one go."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from spaces.faster_rcnn import Space
from spaces.parameters import Value

ENQUEUED = "fixed_params"  # where Optuna keeps the values that somebody chose


def propose(
    space: Space,
    study: optuna.Study,
    sampler: optuna.samplers.BaseSampler,
    *,
    number: int,
    fixed: Mapping[str, Value],
    given: FrozenTrial | None = None,
) -> FrozenTrial:
    """The point of the space for the trial of that number; nothing is stored.

    Values that are fixed are taken as they are, the sampler proposes the others by what the study shows. `given` is a
    trial that is there already: what it has stays.
    """
    attributes = {ENQUEUED: dict(fixed)} if fixed else {}
    trial = FrozenTrial(
        number=number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now(),
        datetime_complete=None,
        params=dict(given.params) if given else {},
        distributions=dict(given.distributions) if given else {},
        user_attrs={},
        system_attrs=attributes,
        intermediate_values={},
        trial_id=given._trial_id if given else -1,
    )
    sampler.before_trial(study, trial)
    space.suggest(_Asked(study, sampler, trial, fixed))
    return trial


class _Asked:
    """Answers a space as an `optuna.Trial` would, and fills in a trial."""

    def __init__(
        self,
        study: optuna.Study,
        sampler: optuna.samplers.BaseSampler,
        trial: FrozenTrial,
        fixed: Mapping[str, Value],
    ) -> None:
        self._study = study
        self._sampler = sampler
        self._trial = trial
        self._fixed = fixed

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self._suggest(name, FloatDistribution(low, high, log=log))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self._suggest(name, IntDistribution(low, high, log=log, step=step))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._suggest(name, CategoricalDistribution(choices))

    @cached_property
    def _relative(self) -> dict[str, Any]:
        """What the sampler proposes for all parameters together that every trial has."""
        space = self._sampler.infer_relative_search_space(self._study, self._trial)
        return self._sampler.sample_relative(self._study, self._trial, space)

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if name not in self._trial.params:
            self._trial.params[name] = self._value(name, distribution)
            self._trial.distributions[name] = distribution
        return self._trial.params[name]

    def _value(self, name: str, distribution: BaseDistribution) -> Any:
        if name in self._fixed:
            return self._fixed[name]
        if name in self._relative and distribution._contains(distribution.to_internal_repr(self._relative[name])):
            return self._relative[name]
        return self._sampler.sample_independent(self._study, self._trial, name, distribution)
