"""The model as Optuna's sampler: whole points of the space, the same from the same history, away from what failed."""

import math
import statistics

import optuna
import pytest
from optuna.trial import TrialState

from search.policy.model.cube import Cube
from search.policy.model.history import History
from search.policy.model.sampler import ModelSampler
from search.policy.proposal import propose
from search.policy.readings import attribute
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Fixed, Float
from trial.reading import Reading

SPACE = Space.default()
RUNGS = (160, 480, 1440)


def small_space() -> Space:
    """Two parameters that matter, all others fixed."""
    fixed = {name: Fixed(value=value) for name, value in SPACE.reference().items()}
    return SPACE.replaced(
        fixed
        | {
            "lr_per_16": Float(low=1e-4, high=1.0, log=True),
            "momentum": Float(low=0.5, high=0.99),
        }
    )


def worth(values: dict[str, float]) -> float:
    """Best at a learning rate of 0.01 and a momentum of 0.9."""
    return 0.5 - 0.1 * abs(math.log10(values["lr_per_16"]) + 2) - abs(values["momentum"] - 0.9)


def played(
    space: Space, *, trials: int, seed: int = 0, diverges: float = 1.0, read: bool = True, error: float = 0.0
) -> optuna.Study:
    """A study whose trials are read at the first rung, but those above that rate, which end with a constraint."""
    study = optuna.create_study(direction="maximize")
    for number in range(trials):
        trial = add(study, space, number, seed=seed)
        trial_id = trial._trial_id
        if trial.params["lr_per_16"] > diverges:
            trial.set_constraint("diverged", 1.0)
            study.tell(trial, state=TrialState.PRUNED)
        elif read:
            value = worth(trial.params)
            trial.report(value, RUNGS[0])
            for key, kept in attribute(RUNGS[0], Reading(value=value, error=error)).items():
                study._storage.set_trial_system_attr(trial_id, key, kept)
            study.tell(trial, state=TrialState.PRUNED)
    return study


def sampler_of(space: Space, *, seed: int) -> ModelSampler:
    cube = Cube.of(space)
    return ModelSampler(cube, History(cube, RUNGS), seed=seed, startup_trials=5)


def add(study: optuna.Study, space: Space, number: int, *, seed: int = 0) -> optuna.Trial:
    sampler = sampler_of(space, seed=1000 * seed + number)
    proposal = propose(space, study, sampler, number=number, fixed={})
    study.add_trial(proposal)
    return optuna.Trial(study, study.trials[number]._trial_id)


def test_every_proposal_is_a_point_of_the_space():
    study = optuna.create_study(direction="maximize")
    for number in range(16):
        trial = add(study, SPACE, number)
        SPACE.configuration(trial.params)  # raises where something is missing or outside
        study._storage.set_trial_intermediate_value(trial._trial_id, RUNGS[0], 0.01 * number)
        study.tell(trial, state=TrialState.PRUNED)


def test_it_finds_what_is_best_sooner_than_chance():
    studies = [played(small_space(), trials=30, seed=seed) for seed in range(4)]
    late = [statistics.mean(worth(trial.params) for trial in study.trials[15:]) for study in studies]
    early = [statistics.mean(worth(trial.params) for trial in study.trials[:5]) for study in studies]  # at random
    assert statistics.mean(late) > statistics.mean(early) + 0.1
    assert max(worth(trial.params) for study in studies for trial in study.trials) > 0.47


def test_the_same_history_gives_the_same_proposal():
    first, second = (played(small_space(), trials=12) for _ in range(2))
    assert [trial.params for trial in first.trials] == [trial.params for trial in second.trials]


def test_another_seed_gives_another():
    first, second = (played(small_space(), trials=8, seed=seed) for seed in (0, 1))
    assert first.trials[-1].params != second.trials[-1].params


def test_it_keeps_away_from_where_trials_failed():
    """The best lies beyond the rate at which everything diverges: it comes up to there, and seldom goes far beyond."""
    study = played(small_space(), trials=40, diverges=0.002)
    late = [trial.params["lr_per_16"] for trial in study.trials[20:]]
    assert sum(rate > 2 * 0.002 for rate in late) <= 3
    assert sum(0.001 < rate <= 0.002 for rate in late) >= 3


def test_workers_beside_each_other_propose_different_points():
    study = played(small_space(), trials=12)
    beside = [add(study, small_space(), number, seed=7).params for number in range(12, 16)]  # none is read
    rates = sorted(point["lr_per_16"] for point in beside)
    assert len({tuple(point.items()) for point in beside}) == 4
    assert rates[-1] / rates[0] > 1.01


def test_before_enough_were_read_it_draws_at_random():
    study = played(small_space(), trials=6, read=False)
    assert len({trial.params["lr_per_16"] for trial in study.trials}) == 6


def test_optuna_itself_can_use_it():
    sampler = sampler_of(small_space(), seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        values = small_space().suggest(trial)
        trial.report(worth(values), RUNGS[0])
        return worth(values)

    study.optimize(objective, n_trials=20)
    assert study.best_value > 0.4


@pytest.mark.parametrize("batch_sizes", [(4, 8), (8, 16)])
def test_values_of_another_version_of_the_space_are_no_error(batch_sizes: tuple[int, ...]):
    study = played(small_space(), trials=8)
    other = small_space().replaced({"batch_size": Categorical(values=batch_sizes)})
    other.configuration(add(study, other, 8).params)
