"""Who proposes: Optuna's samplers, seeded anew for each trial.

A sampler's random state dies with its process. Seeding it from (study seed, trial number) makes the next proposal a
function of the study's history alone: a study that was interrupted and resumed proposes what an uninterrupted one
would have, and two workers never share a stream. Samplers that unpickle stored data (CMA-ES) are not offered
(docs/decisions/0010).
"""

import numpy as np
import optuna


def make_sampler(kind: str, *, study_seed: int, trial: int, startup_trials: int = 10) -> optuna.samplers.BaseSampler:
    """The sampler of a study file, `tpe` or `random`, for one trial.

    TPE is Optuna 5's default: multivariate, with the constant liar for trials that are running elsewhere.

    Raises:
        ValueError: no sampler of that kind.
    """
    seed = derive_seed(study_seed, trial, purpose=1)
    match kind:
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup_trials)
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)
    raise ValueError(f"the sampler must be tpe or random, but is {kind!r}")


def training_seed(study_seed: int, trial: int) -> int:
    """The seed of a trial's training: data order, augmentation, sampling; new layers."""
    return derive_seed(study_seed, trial, purpose=2)


def derive_seed(study_seed: int, trial: int, *, purpose: int) -> int:
    """A number in [0, 2³¹) that depends on all three and looks unrelated to its neighbours."""
    return int(np.random.SeedSequence([study_seed, trial, purpose]).generate_state(1)[0]) >> 1
