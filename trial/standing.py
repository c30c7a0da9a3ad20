"""Where a trial stands: one function of what Optuna, the leases and the outcomes say of it.

The queue, the budget, `status`, the ranking, launch's progress, explanations and the dashboard all ask here.
"""

from enum import StrEnum

from trial.outcome import Outcome


class Standing(StrEnum):
    """Where a trial stands."""

    WAITING = "waiting"  # somebody enqueued it; nobody has begun it
    RUNNING = "running"  # a worker trains it
    PAUSED = "paused"  # it waits at a rung, and goes on if it is promoted
    LEFT_BEHIND = "left behind"  # begun, and without an owner: the next worker goes on with it
    FINISHED = "finished"  # trained, and told
    ENDED_ELSEWHERE = "ended elsewhere"  # told by somebody else; no worker has recorded it yet
    REFUSED = "refused"  # a proposal that was told off before any training

    @property
    def spends_budget(self) -> bool:
        """Whether it counts against the budget of trials: whatever was begun, however it ended."""
        return self not in (Standing.WAITING, Standing.REFUSED)


def standing(state: str, outcome: Outcome | None, *, leased: bool = False) -> Standing:
    """Where a trial of that state of Optuna's stands; `leased` says whether a worker holds a live lease on it."""
    if outcome is not None and outcome.refused:
        return Standing.REFUSED
    match state:
        case "WAITING":
            return Standing.WAITING
        case "RUNNING":
            waits = Standing.PAUSED if outcome is Outcome.PAUSED else Standing.LEFT_BEHIND
            return Standing.RUNNING if leased else waits
        case _ if outcome is None or not outcome.final:
            return Standing.ENDED_ELSEWHERE
        case _:
            return Standing.FINISHED
