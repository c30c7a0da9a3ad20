"""Which healthy trials go on: asynchronous successive halving on an explicit list of rungs, in images.

Why not Optuna's `SuccessiveHalvingPruner` and `HyperbandPruner`: their rungs are `min_resource × factor^k` and nothing
else, so a study file's own list could not be honoured; at a rung that fewer than `factor` trials have reached they
prune all but the best one, i.e. the second trial of a study after its first weak evaluation; and ties are pruned or
kept by accident of order, although at an early rung every AP may still be 0. `RungPruner` is the stopping variant of
ASHA (Li et al. 2020, https://arxiv.org/abs/1810.05934) without these three. It keeps no state of its own: the values
that trials reported are all it needs, so any number of workers agree and a resumed trial is judged the same way.
"""

import math
import zlib
from collections.abc import Sequence
from typing import assert_never

import optuna
from optuna.trial import FrozenTrial

from search.study.policy_section import Pruner, PrunerName

MEDIAN_STARTUP_TRIALS = 4


class RungPruner(optuna.pruners.BasePruner):
    """Goes on with the best 1/factor of the trials that reported at a rung, this one and ended ones included.

    Trials are compared where they reported at exactly the same rung; one that diverged before it is no peer: it is
    out already, and would only let weak ones through. Nothing is pruned at the last rung (the budget is spent), before
    `factor` trials have reached the rung (1/factor of them would be less than one trial), or by a tie.

    With several brackets (Hyperband), bracket b compares nothing before rung b, and only with its own bracket; brackets
    are drawn by trial number, each `factor` times as often as the next.
    """

    def __init__(self, rungs: Sequence[int], *, factor: int, brackets: int = 1) -> None:
        if list(rungs) != sorted(set(rungs)) or not rungs or rungs[0] < 1:
            raise ValueError(f"rungs must be increasing positive image counts, but are {list(rungs)}")
        if factor < 2:
            raise ValueError(f"the reduction factor must be at least 2, but is {factor}")
        if not 1 <= brackets <= len(rungs):
            raise ValueError(f"brackets must lie in 1 to the number of rungs ({len(rungs)}), but are {brackets}")
        self._rungs = tuple(rungs)
        self._factor = factor
        self._brackets = brackets

    def bracket(self, study_name: str, trial: int) -> int:
        """The bracket of a trial: the number of rungs at which it is left alone."""
        if self._brackets == 1:
            return 0
        weights = [self._factor ** (self._brackets - 1 - b) for b in range(self._brackets)]
        point = zlib.crc32(f"{study_name}/{trial}".encode()) % sum(weights)
        return next(b for b in range(self._brackets) if point < sum(weights[: b + 1]))

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial stops at the last rung that it reported."""
        rung = trial.last_step
        if rung is None or rung not in self._rungs[:-1]:
            return False
        bracket = self.bracket(study.study_name, trial.number)
        if self._rungs.index(rung) < bracket:
            return False
        own = trial.intermediate_values[rung]
        peers = [
            other.intermediate_values[rung]
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number
            and rung in other.intermediate_values
            and self.bracket(study.study_name, other.number) == bracket
        ]
        return loses(own, peers, self._factor)


def loses(own: float, peers: Sequence[float], factor: int) -> bool:
    """Whether a value is outside the best 1/factor (rounded up) of itself and its peers; larger is better."""
    if math.isnan(own):
        return True
    reached = 1 + len(peers)
    better = sum(peer > own for peer in peers)
    return reached >= factor and better >= math.ceil(reached / factor)


def make_pruner(settings: Pruner, *, rungs: Sequence[int]) -> optuna.pruners.BasePruner:
    """The pruner of a study with these rungs."""
    factor = settings.factor
    match settings.name:
        case PrunerName.HALVING:
            return RungPruner(rungs, factor=factor)
        case PrunerName.HYPERBAND:
            return RungPruner(rungs, factor=factor, brackets=min(3, len(rungs)))
        case PrunerName.MEDIAN:
            return optuna.pruners.MedianPruner(n_startup_trials=MEDIAN_STARTUP_TRIALS)
        case PrunerName.PROMOTION | PrunerName.NONE:  # who is promoted, the schedule says
            return optuna.pruners.NopPruner()
        case _:
            assert_never(settings.name)
