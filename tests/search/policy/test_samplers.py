from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from search.policy.samplers import Memory, derive_seed, make_sampler, training_seed
from search.study.policy_section import SamplerName
from search.study.specification import Specification, specification_from


def specification_with(**sampler: object) -> Specification:
    document = {
        "name": "here", "storage": "sqlite:///here.db", "data": {"folder": "here"}, "sampler": sampler,
        "budget": {"trials": 12, "images": 1000},
    }  # fmt: skip
    return specification_from(document, "this test")


def test_seeds_differ_between_trials_studies_and_purposes():
    seeds = {derive_seed(s, t, purpose=p) for s in range(10) for t in range(50) for p in (1, 2)}
    assert len(seeds) == 10 * 50 * 2
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert training_seed(3, 4) == training_seed(3, 4)


@pytest.mark.parametrize("kind", [SamplerName.TPE, SamplerName.RANDOM])
def test_a_new_process_with_the_same_history_proposes_the_same(kind):
    def proposals(restart_after: int) -> list[float]:
        study = optuna.create_study(direction="maximize")
        for number in range(16):
            if number == restart_after:
                copy = optuna.create_study(direction="maximize")
                copy.add_trials(study.trials)
                study = copy
            study.sampler = make_sampler(specification_with(name=kind, seed=5, startup_trials=4), trial=number)
            trial = study.ask()
            x = trial.suggest_float("x", 0, 1)
            study.tell(trial, -((x - 0.3) ** 2))
        return [trial.params["x"] for trial in study.trials]

    assert proposals(restart_after=99) == proposals(restart_after=7)
    assert len(set(proposals(restart_after=99))) == 16


def test_a_remembered_space_proposes_what_optunas_own_sampler_does():
    """With parameters that only some trials have, and others whose range has changed on the way."""

    def proposals(make: Callable[[int], optuna.samplers.BaseSampler]) -> list[dict[str, float]]:
        study = optuna.create_study(direction="maximize")
        for number in range(20):
            study.sampler = make(number)
            trial = study.ask()
            x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1 if number < 12 else 2)
            z = trial.suggest_float("z", 0, 1) if trial.suggest_categorical("kind", ["a", "b"]) == "a" else 0.5
            state = TrialState.PRUNED if number % 3 else TrialState.COMPLETE
            study.tell(trial, None if number % 3 else -(x**2) - y + z, state=state)
        return [trial.params for trial in study.trials]

    settings = specification_with(name="tpe", seed=5, startup_trials=4)
    memory = Memory.of(settings)
    ours = proposals(lambda n: make_sampler(settings, trial=n, memory=memory))
    theirs = proposals(lambda n: TPESampler(seed=derive_seed(5, n, purpose=1), n_startup_trials=4))
    assert ours == theirs
