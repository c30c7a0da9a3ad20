"""What `status` says of the hand-made study."""

import io
import json
from dataclasses import replace
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console

from search.report.status import (
    Death,
    Outages,
    Status,
    deaths,
    outages_survived,
    read_status,
    status_json,
    trials_per_hour,
)
from search.report.status_table import status_table
from storage.connection import tables
from storage.connection.database import Database
from storage.connection.errors import StorageError
from storage.leases import Leases
from storage.outages import record_outage
from storage.records import OutageRecord, OutcomeRecord
from storage.study import find_study
from tests.support.studies import create_optuna_study
from trial.outcome import Outcome

MIDNIGHT = datetime(2026, 1, 1)


@pytest.fixture
def study(database: Database, study: optuna.Study) -> optuna.Study:
    """The one made by hand, after a few accidents: trial 3 changed hands, trial 5 lost trainers, two outages."""
    other = Leases(find_study(database, study.study_name))
    study._storage.set_trial_user_attr(study.trials[5]._trial_id, "crashes", 2)
    study._storage.set_trial_user_attr(study.trials[5]._trial_id, "hangs", 1)
    with database.writing() as connection:
        key = {"study_id": study._study_id, "trial": 3}
        connection.execute(tables.leases.insert().values(**key, worker="w2", token=2, expires_at=None))
    assert other.changes_of_hands() == {3: 1}
    # Two workers missed the database from 110 to 100 and from 108 to 99 s ago, one from 13 to 11 s ago: 11 + 2 s.
    for worker, lasted_s, ended_s_ago in (("w1", 10.0, 100.0), ("w2", 9.0, 99.0), ("w1", 2.0, 11.0)):
        record_outage(
            find_study(database, study.study_name),
            worker,
            number=int(lasted_s),
            lasted_s=lasted_s,
            ended_s_ago=ended_s_ago,
        )
    return study


@pytest.fixture
def status(database: Database, study: optuna.Study) -> Status:
    return read_status(find_study(database, study.study_name))


def test_a_database_that_is_away_for_several_workers_is_one_outage() -> None:
    spans = {"a": (0, 10), "b": (2, 12), "c": (15, 20), "d": (100, 101)}  # 3 s between the second and the third
    records = [
        OutageRecord(worker=name, lasted_s=end - begin, ended_at=MIDNIGHT + timedelta(seconds=end))
        for name, (begin, end) in spans.items()
    ]
    assert outages_survived(records) == Outages(count=2, seconds=12 + 5 + 1)
    assert outages_survived([]) == Outages(count=0, seconds=0.0)


def test_states_and_outcomes_are_counted(status: Status) -> None:
    assert status.states == {"complete": 2, "pruned": 2, "fail": 1, "running": 1, "waiting": 1}
    assert status.outcomes == {"complete": 2, "outranked": 1, "diverged": 1, "crashed": 1}
    assert status.finished == 2 + 2 + 1
    assert status.budget_trials == 40


def test_the_best_is_feasible_and_the_reference_is_trial_0(status: Status) -> None:
    assert status.best is not None
    assert status.reference is not None
    assert (status.best.number, status.best.ap, status.reference.number) == (3, 0.42, 0)


def test_a_running_trial_without_a_lease_can_be_claimed_until_somebody_does(
    database: Database, study: optuna.Study, status: Status
) -> None:
    assert (status.waiting, status.claimable) == ((6,), (5,))
    Leases(find_study(database, study.study_name)).claim(5, "w1")
    assert read_status(find_study(database, study.study_name)).claimable == ()


def test_deaths_are_counted_by_outcome_and_cause_most_frequent_first() -> None:
    ends = [
        (0, Outcome.COMPLETE, ""),
        (1, Outcome.CRASHED, "killed (SIGKILL)"),
        (2, Outcome.DIVERGED, "loss_rpn_box"),
        (3, Outcome.OUTRANKED, "rung 1"),
        (4, Outcome.DIVERGED, "loss_rpn_box"),
        (5, Outcome.DIVERGED, "gradient"),
    ]
    common = {"message": "", "step": 1, "images": 1, "recorded_at": MIDNIGHT}
    records = [OutcomeRecord(trial=t, outcome=o, cause=c, **common) for t, o, c in ends]
    assert deaths(records) == (
        Death(outcome="diverged", cause="loss_rpn_box", words="the RPN's box loss exploded", trials=(2, 4)),
        Death(outcome="crashed", cause="killed (SIGKILL)", words="killed (SIGKILL)", trials=(1,)),
        Death(outcome="diverged", cause="gradient", words="the gradient exploded", trials=(5,)),
    )


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        pytest.param([(0, 10), (10, 20)], 2 / (20 / 60), id="one after the other: 2 in 20 min"),
        pytest.param([(0, 20), (0, 20)], 2 / (20 / 60), id="side by side: 2 in 20 min"),
        pytest.param([(0, 10), (100, 110)], 2 / (20 / 60), id="a pause of 90 min does not count"),
        pytest.param([(0, 30), (10, 20), (20, 60)], 3 / (60 / 60), id="overlapping: 3 in 60 min"),
        pytest.param([], None, id="nothing finished"),
    ],
)
def test_the_pace_counts_only_time_in_which_a_trial_ran(minutes: list[tuple[int, int]], expected: float | None) -> None:
    trials = [_finished(begin, end) for begin, end in minutes]
    assert trials_per_hour(trials) == (None if expected is None else pytest.approx(expected))


def test_the_report_names_everything_in_100_columns(database: Database, study: optuna.Study) -> None:
    console = Console(width=100, file=io.StringIO())
    with console.capture() as captured:
        console.print(status_table(read_status(find_study(database, study.study_name))))
    text = captured.get()
    assert max(map(len, text.splitlines())) <= 100
    for expected in (
        "5 of 40 finished (2 complete, 2 pruned, 1 fail, 1 running, 1 waiting)",
        "trial 3: AP 0.420 after 324 images, complete",
        "trial 0: AP 0.300",
        "the RPN's box loss exploded (loss_rpn_box)",
        "killed (SIGKILL)",
        "node-a",
        "7.2",
        "trials per hour",
        "5 (its worker was last heard of",
        "the next launch or worker goes on",
        "trial 5 2 × (1 hung)",
        "trial 3 1 ×",
        "2, 13 s in all",
        "2 of 3",
    ):
        assert expected in text


def test_a_worker_that_says_nothing_is_marked(database: Database, study: optuna.Study) -> None:
    now = read_status(find_study(database, study.study_name))
    [worker] = now.workers
    silent = replace(now, workers=(replace(worker, age_s=121.0),))
    assert "(dead?)" not in shown(now)
    assert "121 (dead?)" in shown(silent)


def shown(status: Status) -> str:
    console = Console(width=100, file=io.StringIO())
    with console.capture() as captured:
        console.print(status_table(status))
    return captured.get()


def test_an_empty_study_has_a_status_too(database: Database) -> None:
    create_optuna_study(database, "new")
    console = Console(width=100, file=io.StringIO())
    with console.capture() as captured:
        console.print(status_table(read_status(find_study(database, "new"))))
    assert "no trial has a value yet" in captured.get()


def test_the_json_holds_the_same_and_is_plain(status: Status) -> None:
    read = json.loads(status_json(status))
    assert read["best"]["number"] == 3
    assert read["best"]["state"] == "complete"
    assert read["deaths"][0]["outcome"] in ("diverged", "crashed")
    assert read["workers"][0]["host"] == "node-a"
    assert (read["workers"][0]["rung"], read["workers"][0]["rungs"]) == (2, 3)  # trial 5 has passed one
    assert read["changed_hands"] == {"3": 1}
    assert read["lost_trainers"] == [{"trial": 5, "lost": 2, "hung": 1}]
    assert read["outages"] == {"count": 2, "seconds": pytest.approx(13, abs=0.1)}
    assert read["claimable"] == [5]
    assert read["finished"] == 5
    assert datetime.fromisoformat(read["workers"][0]["seen_at"])


def test_an_unknown_study_is_an_error(database: Database) -> None:
    with pytest.raises(StorageError, match="no study 'nothing'"):
        read_status(find_study(database, "nothing"))


def _finished(begin_min: int, end_min: int) -> FrozenTrial:
    trial = create_trial(state=TrialState.COMPLETE, value=0.0)
    trial.datetime_start = MIDNIGHT + timedelta(minutes=begin_min)
    trial.datetime_complete = MIDNIGHT + timedelta(minutes=end_min)
    return trial


def test_the_disk_that_a_study_uses_is_told_in_whole_mib(database: Database, study: optuna.Study, tmp_path) -> None:
    stored = find_study(database, study.study_name)
    (tmp_path / "trials" / "00003").mkdir(parents=True)
    (tmp_path / "trials" / "00003" / "checkpoint").write_bytes(bytes(3 * 2**20 + 1))
    there, missing = tmp_path / "trials", tmp_path / "logs"
    assert read_status(stored, folders=(there, missing)).disk_mib == 4
    assert read_status(stored).disk_mib is None
    console = Console(width=100, file=io.StringIO())
    with console.capture() as captured:
        console.print(status_table(read_status(stored, folders=(there,))))
    assert "4 MiB of checkpoints and logs on this machine" in captured.get()
