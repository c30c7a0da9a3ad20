"""How a trial can end, and what each end means to Optuna.

A configuration that cannot work ends PRUNED with a named constraint, never FAIL: samplers ignore FAIL and propose the
same again (docs/decisions/0003). FAIL is for what no hyperparameter caused.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from optuna.trial import FrozenTrial, TrialState


class Outcome(StrEnum):
    """One word for the end of a trial, as it stands in SQL, in `status` and in the dashboard."""

    COMPLETE = "complete"  # trained its whole budget
    SLOW = "slow"  # healthy, but worse than its peers at a rung
    DIVERGED = "diverged"  # a loss became non-finite or exploded
    NOT_LEARNING = "not learning"  # finite, but nothing moves
    OUT_OF_MEMORY = "out of memory"
    HOPELESS = "hopeless"  # its anchors can't work, so it was never trained and costs none of the budget of trials
    BAD_DATA = "bad data"  # an image or annotation failed during training
    CRASHED = "crashed"  # the trainer process died or raised
    INTERRUPTED = "interrupted"  # stopped from outside; the trial goes on later


#: A configuration at fault: PRUNED with a constraint named after the outcome, so that samplers keep away.
INFEASIBLE = frozenset({Outcome.DIVERGED, Outcome.NOT_LEARNING, Outcome.OUT_OF_MEMORY, Outcome.HOPELESS})

#: Not the configuration's fault: FAIL.
FAULTS = frozenset({Outcome.BAD_DATA, Outcome.CRASHED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why a trial ended: the outcome, the term or rule behind it, where, and the figures that show it."""

    outcome: Outcome
    cause: str = ""  # the first loss term that went wrong, the rule that fired, the signal that killed
    message: str = ""  # one sentence for a person
    step: int = 0  # optimizer step
    images: int = 0  # images seen
    evidence: dict[str, float | str] = field(default_factory=dict)
    study_wide: bool = False  # every trial would end like this: somebody must act before another one is begun


def was_refused(trial: FrozenTrial) -> bool:
    """Whether the trial was told off before any training."""
    return bool(trial.user_attrs.get("outcome") == Outcome.HOPELESS)  # as `storage.outcomes` shows it


def spends_budget(trial: FrozenTrial) -> bool:
    """Whether it counts against the budget of trials: everything that was ever begun, however it ended."""
    return trial.state is not TrialState.WAITING and not was_refused(trial)
