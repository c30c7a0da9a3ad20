"""How a trial can end: one table, which everybody asks what an end means.

A configuration that cannot work ends PRUNED with a named constraint, never FAIL: samplers ignore FAIL and propose the
same again (docs/decisions/0003). FAIL is for what no hyperparameter caused.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self


class Kind(StrEnum):
    """What an end says about the trial."""

    HEALTHY = "healthy"  # it trained as it should
    FAULT = "fault"  # of its configuration, or of something that no hyperparameter mends
    REFUSED = "refused"  # a proposal that was never trained; it spends none of the budget of trials
    OPEN = "open"  # no end: the trial goes on later, and then ends otherwise


class Outcome(StrEnum):
    """One word for the end of a trial, as it stands in SQL, in `status` and in the dashboard."""

    state: str  # Optuna's; empty where somebody else chose it
    kind: Kind
    meaning: str  # for a reader of the dashboard or of an explanation
    reason: str  # of refused proposals, in the plural

    def __new__(cls, word: str, state: str = "", kind: Kind = Kind.OPEN, meaning: str = "", reason: str = "") -> Self:
        """The member of that row of the table."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.state, member.kind, member.meaning, member.reason = state, kind, meaning, reason
        return member

    COMPLETE = "complete", "COMPLETE", Kind.HEALTHY, "trained its whole budget"
    OUTRANKED = (
        "outranked", "PRUNED", Kind.HEALTHY,
        "healthy, but worse than its peers at a rung, so it was stopped there",
    )  # fmt: skip
    DIVERGED = (
        "diverged", "PRUNED", Kind.FAULT,
        "a loss became non-finite or exploded; the configuration is at fault",
    )  # fmt: skip
    NOT_LEARNING = (
        "not learning", "PRUNED", Kind.FAULT,
        "finite, but nothing moved; the configuration is at fault",
    )  # fmt: skip
    OUT_OF_MEMORY = "out of memory", "PRUNED", Kind.FAULT, "did not fit; the configuration is at fault"
    HOPELESS = (
        "hopeless", "PRUNED", Kind.REFUSED,
        "its anchors miss the boxes, so it was never trained; it costs none of the budget of trials",
        "their anchors miss the boxes",
    )  # fmt: skip
    RISKY = (
        "risky", "PRUNED", Kind.REFUSED,
        "trials at such learning rates diverged, so it was never trained; it costs none of the budget",
        "trials at such learning rates diverged",
    )  # fmt: skip
    INVALID = (
        "invalid", "FAIL", Kind.REFUSED,
        "somebody enqueued values outside of the space, so it was never trained; it costs no budget",
        "enqueued with values outside of the space",
    )  # fmt: skip
    BAD_DATA = (
        "bad data", "FAIL", Kind.FAULT,
        "an image or annotation failed during training; no hyperparameter is at fault",
    )  # fmt: skip
    CRASHED = (
        "crashed", "FAIL", Kind.FAULT,
        "the trainer process died; no hyperparameter is known to be at fault",
    )  # fmt: skip
    ENDED_ELSEWHERE = (
        "ended elsewhere", "", Kind.FAULT,
        "somebody else ended it, as `optuna tell` does; what it reached is kept, and has no rank",
    )  # fmt: skip
    INTERRUPTED = "interrupted", "RUNNING", Kind.OPEN, "stopped from outside; it goes on with the next launch"
    PAUSED = "paused", "RUNNING", Kind.OPEN, "waits at a rung; it goes on as soon as it is promoted"

    @classmethod
    def _missing_(cls, value: object) -> "Outcome | None":
        return cls.OUTRANKED if value == "slow" else None  # its word in studies of the first rooms

    @property
    def healthy(self) -> bool:
        """Whether it trained until it was done, or until its peers were better."""
        return self.kind is Kind.HEALTHY

    @property
    def fault(self) -> bool:
        """Whether it ended by a fault of whatever kind."""
        return self.kind is Kind.FAULT

    @property
    def refused(self) -> bool:
        """Whether it is a proposal that was never trained."""
        return self.kind is Kind.REFUSED

    @property
    def final(self) -> bool:
        """Whether nothing follows: only an open one is replaced by what comes later."""
        return self.kind is not Kind.OPEN

    @property
    def infeasible(self) -> bool:
        """Whether the configuration cannot work: samplers are told by a constraint of the outcome's name."""
        return self.state == "PRUNED" and not self.healthy

    @property
    def blameless(self) -> bool:
        """Whether it ended by a fault that no hyperparameter caused."""
        return self.fault and not self.infeasible


def refusals(counts: Mapping[Outcome, int]) -> str:
    """How many proposals of those outcomes were refused, and why; empty where none was."""
    refused = [outcome for outcome in Outcome if outcome.refused and counts.get(outcome, 0)]
    return ", ".join(f"{counts[outcome]} {outcome} ({outcome.reason})" for outcome in refused)
