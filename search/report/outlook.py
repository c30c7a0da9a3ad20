"""What another hour of a study is likely to bring."""

from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial
from scipy.linalg import LinAlgError

from search.policy.model.cube import Cube
from search.policy.model.history import History
from search.policy.model.prospect import Prospect, prospect
from search.report.ranking import RankedTrial
from search.study.specification import Specification


def hourly_prospect(
    specification: Specification | None, trials: Sequence[FrozenTrial], trials_per_hour: float | None
) -> Prospect | None:
    """What as many trials as an hour has had so far are likely to add; None where too little was read to say so."""
    if specification is None or trials_per_hour is None:
        return None
    cube = Cube.of(specification.space)
    if not cube.sides:
        return None
    evidence = History(cube, specification.rungs).evidence(trials)
    generator = np.random.default_rng(specification.sampler.seed)
    try:
        return prospect(cube, evidence, trials=max(1, round(trials_per_hour)), generator=generator)
    except LinAlgError:
        return None


def prospect_text(likely: Prospect | None, best: RankedTrial | None) -> str:
    """`some 12 trials, likely to add 0.013 to the best AP, which is uncertain by 0.021`; empty where it is unknown."""
    if likely is None or best is None:
        return ""
    error = f", which is uncertain by {best.ap_error:.3f}" if best.ap_error else ""
    trials = "1 trial" if likely.trials == 1 else f"some {likely.trials} trials"
    return f"{trials}, likely to add {likely.gain:.3f} to the best AP{error}"
