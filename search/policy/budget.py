"""How much of a study's budget of trials is spent: by one trial, and by all, counted by the database however many."""

from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from storage.connection.database import Database
from storage.outcomes import count_outcomes
from storage.study import count_trials
from trial.outcome import REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Numbers of trials. Proposals that were refused before any training are in none of them."""

    begun: int
    running: int
    finished: int


def was_refused(trial: FrozenTrial) -> bool:
    """Whether the trial was told off before any training."""
    return trial.user_attrs.get("outcome") in REFUSED  # as `storage.outcomes` shows it


def spends_budget(trial: FrozenTrial) -> bool:
    """Whether it counts against the budget of trials: everything that was ever begun, however it ended."""
    return trial.state is not TrialState.WAITING and not was_refused(trial)


def read_spending(database: Database, study_name: str) -> Spending:
    """What is spent now; as `spends_budget` has it for one trial.

    Raises:
        StorageError: no such study.
    """
    states = count_trials(database, study_name)
    # Last: a refusal between the two counts as unspent, which whoever asks for the next trial sees to exactly.
    outcomes = count_outcomes(database, study_name)
    refused = sum(outcomes[outcome] for outcome in REFUSED)
    return Spending(
        begun=states.total() - states[TrialState.WAITING] - refused,
        running=states[TrialState.RUNNING],
        finished=sum(count for state, count in states.items() if state.is_finished()) - refused,
    )
