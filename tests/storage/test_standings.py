"""Where trials stand by the database's own count, on SQLite and on PostgreSQL."""

import optuna
import pytest
from optuna.trial import TrialState

from storage.connection.database import Database
from storage.leases import Leases
from storage.outcomes import outcomes_by_trial, record_others_ends, record_outcome
from storage.records import BestTrial
from storage.standings import best_so_far, count_standings, ended_elsewhere, left_behind
from storage.study import StoredStudy, best_complete, find_study
from storage.study_view import StudyView
from tests.storage.test_leases import expire
from trial.outcome import Outcome
from trial.standing import Standing, standing
from trial.verdict import Verdict


@pytest.fixture
def stored(database: Database, study: optuna.Study) -> StoredStudy:
    """The study `cells`, still empty."""
    return find_study(database, "cells")


def begin(study: optuna.Study, *, trials: int) -> list[int]:
    """The numbers of new RUNNING trials."""
    return [study.ask().number for _ in range(trials)]


def end(stored: StoredStudy, number: int, outcome: Outcome) -> None:
    """End a running trial as its worker does."""
    record_outcome(stored, number, Verdict(outcome=outcome))
    StudyView(stored).end(number, outcome)


def test_a_study_without_trials_has_none_anywhere(stored: StoredStudy) -> None:
    assert count_standings(stored) == {}
    assert left_behind(stored) == []


def test_each_trial_is_counted_once_where_it_stands(study: optuna.Study, stored: StoredStudy) -> None:
    live, expired, released, never_leased, diverged, hopeless = begin(study, trials=6)
    leases = Leases(stored)
    leases.claim(expired, "anna")
    expire(stored.database)
    leases.release(leases.claim(released, "anna"))
    leases.claim(live, "anna")
    end(stored, diverged, Outcome.DIVERGED)
    end(stored, hopeless, Outcome.HOPELESS)
    study.enqueue_trial({})
    study.enqueue_trial({})
    assert count_standings(stored) == {
        Standing.WAITING: 2,
        Standing.RUNNING: 1,
        Standing.LEFT_BEHIND: 3,
        Standing.FINISHED: 1,
        Standing.REFUSED: 1,
    }
    assert left_behind(stored) == [expired, released, never_leased]


def test_a_trial_that_is_claimed_again_runs_again(study: optuna.Study, stored: StoredStudy) -> None:
    (number,) = begin(study, trials=1)
    leases = Leases(stored)
    leases.claim(number, "anna")
    assert (count_standings(stored), left_behind(stored)) == ({Standing.RUNNING: 1}, [])
    expire(stored.database)
    assert (count_standings(stored), left_behind(stored)) == ({Standing.LEFT_BEHIND: 1}, [number])
    lease = leases.claim(number, "bert")
    assert (count_standings(stored), left_behind(stored)) == ({Standing.RUNNING: 1}, [])
    leases.release(lease)
    assert (count_standings(stored), left_behind(stored)) == ({Standing.LEFT_BEHIND: 1}, [number])


def test_an_interrupted_trial_is_left_behind_and_ascending_among_the_others(
    study: optuna.Study, stored: StoredStudy
) -> None:
    numbers = begin(study, trials=3)
    record_outcome(stored, numbers[1], Verdict(outcome=Outcome.INTERRUPTED))
    assert left_behind(stored) == numbers
    assert count_standings(stored) == {Standing.LEFT_BEHIND: 3}


def test_a_refused_trial_is_never_left_behind_though_nobody_has_told_it(
    study: optuna.Study, stored: StoredStudy
) -> None:
    """Between the two writes of an end that another program made without a transaction."""
    first, second = begin(study, trials=2)
    record_outcome(stored, first, Verdict(outcome=Outcome.RISKY))
    assert left_behind(stored) == [second]
    assert count_standings(stored) == {Standing.REFUSED: 1, Standing.LEFT_BEHIND: 1}


def test_a_lease_that_outlived_its_trial_changes_nothing(study: optuna.Study, stored: StoredStudy) -> None:
    told, running = begin(study, trials=2)
    leases = Leases(stored)
    leases.claim(told, "anna")
    leases.claim(running, "anna")
    study.tell(told, state=TrialState.FAIL)  # by hand, with the lease still alive
    assert count_standings(stored) == {Standing.ENDED_ELSEWHERE: 1, Standing.RUNNING: 1}
    expire(stored.database)
    assert left_behind(stored) == [running]


def test_what_somebody_else_ended_gets_its_outcome_and_is_finished_then(
    study: optuna.Study, stored: StoredStudy
) -> None:
    failed, complete, running = begin(study, trials=3)
    record_outcome(stored, failed, Verdict(outcome=Outcome.INTERRUPTED))
    study.tell(failed, state=TrialState.FAIL)
    study.tell(complete, 0.99)
    assert ended_elsewhere(stored) == [failed, complete]
    record_others_ends(stored)
    assert ended_elsewhere(stored) == []
    assert outcomes_by_trial(stored) == {failed: Outcome.ENDED_ELSEWHERE, complete: Outcome.ENDED_ELSEWHERE}
    assert count_standings(stored) == {Standing.FINISHED: 2, Standing.LEFT_BEHIND: 1}
    assert left_behind(stored) == [running]
    assert best_complete(stored) is None  # whatever value it was told


def test_ahead_is_who_has_the_best_ap_at_the_furthest_rung(study: optuna.Study, stored: StoredStudy) -> None:
    assert best_so_far(stored) is None
    early, far, also_far, faulty = begin(study, trials=4)
    view = StudyView(stored)
    for number, rung, ap in [
        (early, 160, 0.9), (far, 160, 0.1), (far, 480, 0.3), (also_far, 480, 0.3), (faulty, 480, 0.8),
    ]:  # fmt: skip
        view.report(number, rung, ap)
    end(stored, faulty, Outcome.DIVERGED)
    assert best_so_far(stored) == BestTrial(trial=far, rung_images=480, ap=0.3)
    end(stored, far, Outcome.OUTRANKED)
    assert best_so_far(stored) == BestTrial(trial=far, rung_images=480, ap=0.3)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome.final and outcome.state])
def test_every_end_is_counted_as_the_table_has_it(study: optuna.Study, stored: StoredStudy, outcome: Outcome) -> None:
    (number,) = begin(study, trials=1)
    StudyView(stored).report(number, 160, 0.5)
    end(stored, number, outcome)
    assert count_standings(stored) == {standing(outcome.state, outcome): 1}
    assert left_behind(stored) == []


def test_trials_and_leases_of_another_study_are_not_counted(
    database: Database, study: optuna.Study, stored: StoredStudy
) -> None:
    other = optuna.create_study(study_name="ships", storage=database.optuna)
    begin(other, trials=2)
    (number,) = begin(study, trials=1)
    Leases(stored).claim(number, "anna")
    record_outcome(stored, number, Verdict(outcome=Outcome.INTERRUPTED))
    ships = find_study(database, "ships")
    assert (count_standings(ships), left_behind(ships)) == ({Standing.LEFT_BEHIND: 2}, [0, 1])
    assert (count_standings(stored), left_behind(stored)) == ({Standing.RUNNING: 1}, [])
