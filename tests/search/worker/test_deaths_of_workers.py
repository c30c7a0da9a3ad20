"""Workers die, sleep and are told to go; no trial is lost, doubled or stuck."""

import os
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from optuna.trial import TrialState

from search.exit_codes import ExitCode
from search.faults import crash_points
from search.faults.crash_points import CrashPoint
from search.faults.history import HistoryEvent
from search.launch.snapshot import read_snapshot
from search.report.ranking import ranking
from search.report.status import read_status
from storage.connection.database import Database
from storage.leases import Leases
from storage.outcomes import read_outcome, read_outcomes
from storage.standings import left_behind
from storage.study import delete_study, find_study, study_names
from storage.workers import read_workers
from tests.support.history_checker import check_history, read_history
from tests.support.studies import load_optuna_study
from tests.support.workforce import found, leave, start_worker, wait_until
from trial.outcome import Outcome

RUNGS = (160, 480, 1440)
QUICK = (CrashPoint.AFTER_CLAIM, CrashPoint.AFTER_OUTBOX, CrashPoint.BETWEEN_OUTCOME_AND_TELL, CrashPoint.AFTER_TELL)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'study.db'}"
    return str(request.getfixturevalue("postgresql_url"))


def states(database: Database) -> list[TrialState]:
    return [trial.state for trial in load_optuna_study(database, "analytic").get_trials(deepcopy=False)]


def trains(database: Database, trial: int) -> bool:
    return any(w.trial == trial and w.images_per_s for w in read_workers(find_study(database, "analytic")))


@pytest.mark.parametrize(
    "point",
    [
        point if point in QUICK else pytest.param(point, marks=pytest.mark.slow)
        for point in CrashPoint
        if point is not CrashPoint.WITHIN_CLAIM  # of a trial that somebody left behind: see below
    ],
)
def test_a_worker_that_dies_between_two_writes_loses_and_doubles_nothing(url, tmp_path, records, point):
    found(url, tmp_path)
    dead = start_worker(url, tmp_path, **{crash_points.VARIABLE: point})
    assert leave(dead) == -signal.SIGKILL
    with Database.open(url) as database:
        left, outcomes = states(database), read_outcomes(find_study(database, "analytic"))
        told = point is CrashPoint.AFTER_TELL
        assert left == ([] if point is CrashPoint.AFTER_ASK else [TrialState.COMPLETE if told else TrialState.RUNNING])
        assert len(outcomes) == told  # the outcome is there exactly when Optuna knows it
        assert leave(start_worker(url, tmp_path)) == 0
        check_history(database, "analytic", read_history(records), trials=2, rungs=RUNGS, killed=[dead.pid])


def test_who_dies_while_taking_over_a_trial_leaves_it_to_the_next(url, tmp_path, records):
    """Nothing stands between `expired` and `queued again`: a takeover happened or it didn't."""
    found(url, tmp_path)
    assert leave(start_worker(url, tmp_path, **{crash_points.VARIABLE: CrashPoint.AFTER_CLAIM})) == -signal.SIGKILL
    with Database.open(url) as database:
        leases = Leases(find_study(database, "analytic"))
        for _ in range(2):
            dead = start_worker(url, tmp_path, **{crash_points.VARIABLE: CrashPoint.WITHIN_CLAIM})
            assert leave(dead) == -signal.SIGKILL
            wait_until(lambda: left_behind(leases.study) == [0])  # the server has noticed that its client is gone
            assert leases.changes_of_hands() == {}
        assert leave(start_worker(url, tmp_path)) == 0
        assert leases.changes_of_hands() == {0: 1}
        check_history(database, "analytic", read_history(records), trials=2, rungs=RUNGS)


def test_the_second_signal_ends_a_worker_at_once_and_its_lease_runs_out(url, tmp_path, records, monkeypatch):
    monkeypatch.setenv("FRCNN_ANALYTIC_FAULTS", "0:hang:1")  # so that it can't pause
    found(url, tmp_path)
    process = start_worker(url, tmp_path, lease_s=5)
    with Database.open(url) as database:
        leases = Leases(find_study(database, "analytic"))
        wait_until(lambda: list(tmp_path.rglob("faults")))
        os.kill(process.pid, signal.SIGTERM)
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGTERM)
        began = time.monotonic()
        assert leave(process) == 75
        assert time.monotonic() - began < 4  # a pause is waited for twice as long
        assert read_outcome(find_study(database, "analytic"), 0) is None
        assert left_behind(leases.study) == []  # nobody gave it back
        wait_until(lambda: left_behind(leases.study) == [0])
        assert leave(start_worker(url, tmp_path)) == 0
        check_history(database, "analytic", read_history(records), trials=2, rungs=RUNGS)


def put_to_sleep(pid: int, url: str) -> None:
    """Stop the process, but not while it writes: an SQLite file would stay locked for all others."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        if not url.startswith("sqlite"):
            return
        file = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0.5, isolation_level=None)
        with closing(file) as connection, suppress(sqlite3.OperationalError):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.05)


def test_a_zombie_changes_nothing_and_goes_on_with_another_trial(url, tmp_path, records, monkeypatch):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.02")
    found(url, tmp_path, trials=3)
    zombie = start_worker(url, tmp_path)
    with Database.open(url) as database:
        wait_until(lambda: trains(database, 0))
        put_to_sleep(zombie.pid, url)
        wait_until(lambda: left_behind(find_study(database, "analytic")) == [0])
        monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.01")
        other = start_worker(url, tmp_path)
        wait_until(lambda: states(database)[0].is_finished())
        winner = load_optuna_study(database, "analytic").trials[0]
        os.kill(zombie.pid, signal.SIGCONT)
        assert leave(zombie) == 0
        assert leave(other) == 0
        lines = read_history(records)
        assert [
            line["trial"] for line in lines if line["event"] == HistoryEvent.DROP and line["pid"] == zombie.pid
        ] == [0]
        assert load_optuna_study(database, "analytic").trials[0] == winner
        check_history(database, "analytic", lines, trials=3, rungs=RUNGS)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.slow)])
def test_a_signal_gives_the_trial_back_at_once_and_costs_no_more_than_a_step(
    url, tmp_path, records, monkeypatch, number
):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.02")
    found(url, tmp_path)
    process = start_worker(url, tmp_path, lease_s=600)
    with Database.open(url) as database:
        wait_until(lambda: trains(database, 0) or states(database)[1:])
        began = time.monotonic()
        os.kill(process.pid, number)
        assert leave(process) == 75
        assert time.monotonic() - began < 10
        [trial] = left_behind(find_study(database, "analytic"))  # not after 600 s
        record = read_outcome(find_study(database, "analytic"), trial)
        assert record is not None
        assert record.outcome == Outcome.INTERRUPTED
        assert record.images > 0
        assert leave(start_worker(url, tmp_path, FRCNN_ANALYTIC_STEP_S="0")) == 0
        assert all("crashes" not in stored.user_attrs for stored in load_optuna_study(database, "analytic").trials)
        check_history(database, "analytic", read_history(records), trials=2, rungs=RUNGS)


def test_clocks_that_disagree_by_two_hours_take_no_trial_from_anyone(url, tmp_path, records, monkeypatch):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.01")
    found(url, tmp_path, trials=4)
    workers = [start_worker(url, tmp_path, lease_s=10, TEST_CLOCK_OFFSET_S=offset) for offset in ("3600", "-3600")]
    assert [leave(worker) for worker in workers] == [0, 0]
    lines = read_history(records)
    assert max(line["at_s"] for line in lines) - min(line["at_s"] for line in lines) > 7000  # they did disagree
    assert {line["token"] for line in lines if line["event"] == HistoryEvent.CLAIM} == {1}
    with Database.open(url) as database:
        check_history(database, "analytic", lines, trials=4, rungs=RUNGS)


def test_when_all_workers_died_the_next_one_takes_over_all_their_trials(url, tmp_path, records, monkeypatch):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.02")
    found(url, tmp_path, trials=3)
    crowd = [start_worker(url, tmp_path) for _ in range(2)]
    with Database.open(url) as database:
        wait_until(lambda: len(Leases(find_study(database, "analytic")).held()) == 2)
        for worker in crowd:
            worker.kill()
        assert [leave(worker) for worker in crowd] == [-signal.SIGKILL] * 2
        assert states(database).count(TrialState.RUNNING) == 2
        wait_until(lambda: len(left_behind(find_study(database, "analytic"))) == 2)
        behind = read_status(find_study(database, "analytic"))  # from any process, without a worker
        assert behind.claimable == (0, 1)
        assert behind.states == {"running": 2}
        assert leave(start_worker(url, tmp_path, FRCNN_ANALYTIC_STEP_S="0")) == 0
        dead = [worker.pid for worker in crowd]
        check_history(database, "analytic", read_history(records), trials=3, rungs=RUNGS, killed=dead)
        after = read_status(find_study(database, "analytic"))
        assert (after.claimable, after.changed_hands) == ((), {0: 1, 1: 1})


@pytest.mark.parametrize(("state", "value"), [(TrialState.FAIL, None), (TrialState.COMPLETE, 0.99)])
def test_a_trial_that_somebody_else_ends_is_dropped_and_wins_nothing(url, tmp_path, records, monkeypatch, state, value):
    """As `optuna tell` does, or the dashboard."""
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.02")
    found(url, tmp_path, trials=3)
    worker = start_worker(url, tmp_path)
    with Database.open(url) as database:
        wait_until(lambda: trains(database, 0))
        load_optuna_study(database, "analytic").tell(0, value, state=state)
        assert leave(worker) == 0
        study = find_study(database, "analytic")
        check_history(database, "analytic", read_history(records), trials=3, rungs=RUNGS)
        assert read_outcomes(study)[0].outcome is Outcome.ENDED_ELSEWHERE
        status, snapshot = read_status(study), read_snapshot(study, trials=3)
        assert status.best is not None
        assert status.best.number != 0
        assert (snapshot.best.trial, snapshot.best.ap) == (status.best.number, status.best.ap)
        assert (status.finished, snapshot.finished) == (3, 3)
        assert ranking(study)[-1].ending == "ended elsewhere"


def test_a_deleted_study_is_told_and_ends_its_worker(url, tmp_path, monkeypatch):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.02")
    found(url, tmp_path, trials=50)
    worker = start_worker(url, tmp_path)
    with Database.open(url) as database:
        wait_until(lambda: trains(database, 0))
        delete_study(database, "analytic")
        assert leave(worker) == ExitCode.USER_MUST_ACT
        assert study_names(database) == []
