"""Our reader of Optuna's trials against Optuna's own, on trials with everything that they may have."""

import math
from collections.abc import Sequence

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from storage.connection.database import Database
from storage.connection.trials import read_trial, read_trials
from storage.standings import count_standings
from storage.study import find_study
from trial.standing import Standing


@pytest.fixture
def full(study: optuna.Study) -> optuna.Study:
    """Trials in every state: complete, pruned with a constraint, infinite, failed, waiting; and number 5 is running."""
    for value in (0.5, None, math.inf, -math.inf):
        trial = study.ask()
        trial.suggest_float("lr", 1e-4, 1.0, log=True)
        trial.suggest_int("levels", 1, 7, step=2)
        if trial.suggest_categorical("optimizer", ["sgd", "adam", None]) == "sgd":
            trial.suggest_float("momentum", 0.0, 0.9)
        for step, reported in enumerate((0.1, math.nan, math.inf, -math.inf)):
            trial.report(reported, step)
        trial.set_user_attr("why", {"nested": ["é", 1.5, None]})
        if value is None:
            trial.set_constraint("diverged", 1.0)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, value)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.ask().suggest_float("lr", 1e-4, 1.0, log=True)
    study.enqueue_trial({"lr": 0.25})
    return study


def by_optuna(database: Database, study: optuna.Study, *, newer_than: int, also: set[int]) -> list[FrozenTrial]:
    return RDBStorage._get_trials(database.optuna, study._study_id, None, also, newer_than)


def plain(trials: Sequence[FrozenTrial]) -> list[str]:
    """NaN is not equal to itself, but its text is."""
    return [repr(trial) + str(list(trial.params)) for trial in trials]


def test_trials_are_read_as_optuna_reads_them(database: Database, full: optuna.Study) -> None:
    ids = [trial._trial_id for trial in full.trials]
    expected = by_optuna(database, full, newer_than=-1, also=set())
    assert {trial.state for trial in expected} == set(TrialState)
    with database.reading() as connection:
        assert plain(read_trials(connection, full._study_id, newer_than=-1, also=())) == plain(expected)
        some = read_trials(connection, full._study_id, newer_than=ids[4], also={ids[1], ids[3]})
        assert [trial.number for trial in some] == [1, 3, 5, 6]
        assert plain([read_trial(connection, ids[1])]) == plain([expected[1]])
    assert plain(some) == plain(by_optuna(database, full, newer_than=ids[4], also={ids[1], ids[3]}))


def test_trials_of_other_studies_are_not_among_them(database: Database, full: optuna.Study) -> None:
    other = optuna.create_study(storage=database.optuna, study_name="other")
    other.ask()
    assert [trial.number for trial in other.trials] == [0]
    assert len(full.trials) == 7


def test_what_was_written_in_the_same_transaction_is_read(database: Database, study: optuna.Study) -> None:
    with database.together():
        study.ask().set_user_attr("seen", "yes")
        assert [trial.user_attrs for trial in study.get_trials(deepcopy=False)] == [{"seen": "yes"}]


def test_a_deleted_study_or_trial_is_a_key_error_as_in_optuna(database: Database, full: optuna.Study) -> None:
    with database.reading() as connection:
        with pytest.raises(KeyError):
            read_trials(connection, full._study_id + 1, newer_than=-1, also=())
        with pytest.raises(KeyError):
            read_trial(connection, 10**6)


def test_it_is_counted_where_they_stand(database: Database, full: optuna.Study) -> None:
    assert count_standings(find_study(database, "cells")) == {
        Standing.ENDED_ELSEWHERE: 5,  # no worker of ours told them
        Standing.LEFT_BEHIND: 1,
        Standing.WAITING: 1,
    }
