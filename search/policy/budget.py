"""How much of a study's budget is spent, counted by the database however many trials there are."""

from dataclasses import dataclass

from storage.standings import count_standings
from storage.study import StoredStudy
from trial.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Numbers of trials. Proposals that were refused before any training are in none of them."""

    begun: int
    running: int  # with an owner or without
    paused: int  # at a rung, waiting to be promoted
    finished: int
    ended_elsewhere: int  # of the finished, those that somebody else ended without a record


def read_spending(study: StoredStudy) -> Spending:
    """What is spent now."""
    counts = count_standings(study)
    elsewhere, paused = counts[Standing.ENDED_ELSEWHERE], counts[Standing.PAUSED]
    finished = counts[Standing.FINISHED] + elsewhere
    begun = sum(count for standing, count in counts.items() if standing.spends_budget)
    return Spending(
        begun=begun,
        running=begun - finished - paused,
        paused=paused,
        finished=finished,
        ended_elsewhere=elsewhere,
    )
