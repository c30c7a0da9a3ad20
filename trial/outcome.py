"""How a trial can end, and what each end means to Optuna.

A configuration that cannot work ends PRUNED with a named constraint, never FAIL: samplers ignore FAIL and propose the
same again (docs/decisions/0003). FAIL is for what no hyperparameter caused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """One word for the end of a trial, as it stands in SQL, in `status` and in the dashboard."""

    COMPLETE = "complete"  # trained its whole budget
    SLOW = "slow"  # healthy, but worse than its peers at a rung
    DIVERGED = "diverged"  # a loss became non-finite or exploded
    NOT_LEARNING = "not learning"  # finite, but nothing moves
    OUT_OF_MEMORY = "out of memory"
    HOPELESS = "hopeless"  # its anchors can't work, so it was never trained and costs none of the budget of trials
    RISKY = "risky"  # trials at such a learning rate diverged; never trained, and costs none of the budget either
    INVALID = "invalid"  # somebody enqueued values that the space doesn't hold; never trained, none of the budget
    BAD_DATA = "bad data"  # an image or annotation failed during training
    CRASHED = "crashed"  # the trainer process died or raised
    INTERRUPTED = "interrupted"  # stopped from outside; the trial goes on later


#: What each means, for a reader of the dashboard or of an explanation.
MEANINGS: Mapping[Outcome, str] = {
    Outcome.COMPLETE: "trained its whole budget",
    Outcome.SLOW: "healthy, but worse than its peers at a rung, so it was stopped there",
    Outcome.DIVERGED: "a loss became non-finite or exploded; the configuration is at fault",
    Outcome.NOT_LEARNING: "finite, but nothing moved; the configuration is at fault",
    Outcome.OUT_OF_MEMORY: "did not fit; the configuration is at fault",
    Outcome.HOPELESS: "its anchors miss the boxes, so it was never trained; it costs none of the budget of trials",
    Outcome.RISKY: "trials at such learning rates diverged, so it was never trained; it costs none of the budget",
    Outcome.INVALID: "somebody enqueued values outside of the space, so it was never trained; it costs no budget",
    Outcome.BAD_DATA: "an image or annotation failed during training; no hyperparameter is at fault",
    Outcome.CRASHED: "the trainer process died; no hyperparameter is known to be at fault",
    Outcome.INTERRUPTED: "stopped from outside; it goes on with the next launch",
}

#: A configuration at fault: PRUNED with a constraint named after the outcome, so that samplers keep away.
INFEASIBLE = frozenset({Outcome.DIVERGED, Outcome.NOT_LEARNING, Outcome.OUT_OF_MEMORY, Outcome.HOPELESS, Outcome.RISKY})

#: Never trained, and why; in none of the counts of trials.
REFUSED: Mapping[str, str] = {
    Outcome.HOPELESS: "their anchors miss the boxes",
    Outcome.RISKY: "trials at such learning rates diverged",
    Outcome.INVALID: "enqueued with values outside of the space",
}


def refusals(counts: Mapping[str, int]) -> str:
    """How many proposals of those outcomes were refused, and why; empty where none was."""
    told = {outcome: counts.get(outcome, 0) for outcome in REFUSED}
    return ", ".join(f"{count} {outcome} ({REFUSED[outcome]})" for outcome, count in told.items() if count)


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
