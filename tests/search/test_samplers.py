import optuna
import pytest

from search.samplers import derive_seed, make_sampler, training_seed


def test_seeds_differ_between_trials_studies_and_purposes():
    seeds = {derive_seed(s, t, purpose=p) for s in range(10) for t in range(50) for p in (1, 2)}
    assert len(seeds) == 10 * 50 * 2
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert training_seed(3, 4) == training_seed(3, 4)


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_a_new_process_with_the_same_history_proposes_the_same(kind):
    def proposals(restart_after: int) -> list[float]:
        study = optuna.create_study(direction="maximize")
        for number in range(16):
            if number == restart_after:
                copy = optuna.create_study(direction="maximize")
                copy.add_trials(study.trials)
                study = copy
            study.sampler = make_sampler(kind, study_seed=5, trial=number, startup_trials=4)
            trial = study.ask()
            x = trial.suggest_float("x", 0, 1)
            study.tell(trial, -((x - 0.3) ** 2))
        return [trial.params["x"] for trial in study.trials]

    assert proposals(restart_after=99) == proposals(restart_after=7)
    assert len(set(proposals(restart_after=99))) == 16


def test_an_unknown_sampler_is_refused_by_name():
    with pytest.raises(ValueError, match="'cmaes'"):
        make_sampler("cmaes", study_seed=0, trial=0)
