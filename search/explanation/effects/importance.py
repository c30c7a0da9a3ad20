"""How much each parameter had to do with ending among the best, and with not failing: Optuna's PED-ANOVA.

Optuna evaluates complete trials by their value alone, and most trials of a study with a pruner are not complete. So
the trials are shown to it with scores that rank every one: first by the rungs passed, then by AP, failures last.
PED-ANOVA only asks which trials are the best, not by how much, so any score in that order gives the same answer.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState, create_trial

from search.report.trial_history import TrialHistory, TrialRecord

FEWEST_TRIALS = 10  # below, importances are noise
BEST_SHARE = 0.25  # what counts as the best; at least …
FEWEST_BEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Importances:
    """Shares of 1 by parameter, the largest first; empty where the trials do not show them."""

    to_be_best: dict[str, float]
    not_to_fail: dict[str, float]
    trials: int  # that were compared

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, the most important first."""
        return tuple(self.to_be_best or self.not_to_fail)


def importances(history: TrialHistory) -> Importances:
    """The two importances, from all trials that failed or were healthy; empty for fewer than `FEWEST_TRIALS`.

    While no trial has learned anything, none is the best.
    """
    records = [record for record in history.records if record.failed or (record.healthy and record.score > 0)]
    share = max(BEST_SHARE, FEWEST_BEST / max(len(records), 1))
    failed = sum(record.failed for record in records)
    enough = len(records) >= FEWEST_TRIALS
    both_kinds = min(failed, len(records) - failed) >= 2
    return Importances(
        to_be_best=_evaluate(records, lambda record: record.score, share) if enough and history.has_learned else {},
        not_to_fail=_evaluate(records, lambda record: float(record.healthy), 0.01) if enough and both_kinds else {},
        trials=len(records),
    )


def _evaluate(records: Sequence[TrialRecord], score: Callable[[TrialRecord], float], share: float) -> dict[str, float]:
    """PED-ANOVA of reaching the best share of the scores; ties with the last of them count in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on rare conditional parameters, which count as little as they should
        study = optuna.create_study(direction="maximize")
        study.add_trials(
            [
                create_trial(
                    state=TrialState.COMPLETE,
                    value=score(record),
                    params=record.trial.params,
                    distributions=record.trial.distributions,
                )
                for record in records
            ]
        )
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=share))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))) if any(found.values()) else {}
