"""Who proposes: Optuna's samplers, seeded anew for each trial.

A sampler's random state dies with its process. Seeding it from (study seed, trial number) makes the next proposal a
function of the study's history alone: a study that was interrupted and resumed proposes what an uninterrupted one
would have, and two workers never share a stream. Samplers that unpickle stored data (CMA-ES) are not offered
(docs/decisions/0010).
"""

from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial

from search.policy.model.cube import Cube
from search.policy.model.history import History
from search.policy.model.sampler import ModelSampler
from search.study.policy_section import SamplerName
from search.study.specification import Specification


def common_parameters() -> IntersectionSearchSpace:
    """The parameters that all trials of one study have; it remembers which trials it has looked at."""
    return IntersectionSearchSpace(include_pruned=True)


class RememberingTPE(optuna.samplers.TPESampler):
    """TPE with another's memory of which parameters all trials share; a new one would look at every trial again."""

    def __init__(self, common: IntersectionSearchSpace, *, seed: int, startup_trials: int) -> None:
        super().__init__(seed=seed, n_startup_trials=startup_trials)
        self._common = common

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {name: one for name, one in self._common.calculate(study).items() if not one.single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As TPE, without storing it for others: a proposal has no trial yet, and will be stored whole."""
        return self._sample_relative(study, trial, search_space)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What samplers of one study remember between two proposals: the same objects must be given each time."""

    common: IntersectionSearchSpace
    cube: Cube
    history: History

    @classmethod
    def of(cls, specification: Specification) -> "Memory":
        """That of a study which nobody has looked at yet."""
        cube = Cube.of(specification.space)
        return cls(common_parameters(), cube, History(cube, specification.rungs))


def make_sampler(
    specification: Specification, *, trial: int, refused: int = 0, memory: Memory | None = None
) -> optuna.samplers.BaseSampler:
    """The sampler that proposes that trial of a study; the refused ones before it are no start-up trials.

    TPE is Optuna 5's default: multivariate, with the constant liar for trials that are running elsewhere. With a
    memory it proposes the same, sooner.
    """
    settings = specification.sampler
    seed = derive_seed(settings.seed, trial, purpose=1)
    startup = settings.startup(specification.trials)
    memory = memory or Memory.of(specification)
    match settings.name:
        case SamplerName.MODEL:
            return ModelSampler(memory.cube, memory.history, seed=seed, startup_trials=startup)
        case SamplerName.TPE:
            return RememberingTPE(memory.common, seed=seed, startup_trials=startup + refused)
        case SamplerName.RANDOM:
            return optuna.samplers.RandomSampler(seed=seed)
        case _:
            assert_never(settings.name)


def training_seed(study_seed: int, trial: int) -> int:
    """The seed of a trial's training: data order, augmentation, sampling; new layers."""
    return derive_seed(study_seed, trial, purpose=2)


def derive_seed(study_seed: int, trial: int, *, purpose: int) -> int:
    """A number in [0, 2³¹) that depends on all three and looks unrelated to its neighbours."""
    return int(np.random.SeedSequence([study_seed, trial, purpose]).generate_state(1)[0]) >> 1
