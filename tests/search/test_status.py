"""What `status` says of the hand-made study."""

import io
import json
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console

from search.outcomes import Outcome
from search.status import Death, Status, deaths, read_status, status_json, trials_per_hour
from search.status_report import status_report
from storage.database import Database
from storage.errors import StorageError
from storage.leases import Leases
from storage.records import OutcomeRecord
from storage.studies import create_or_load_study

MIDNIGHT = datetime(2026, 1, 1)


@pytest.fixture
def status(database: Database, study: optuna.Study) -> Status:
    return read_status(database, study.study_name)


def test_states_and_outcomes_are_counted(status: Status) -> None:
    assert status.states == {"complete": 2, "pruned": 2, "fail": 1, "running": 1, "waiting": 1}
    assert status.outcomes == {"complete": 2, "slow": 1, "diverged": 1, "crashed": 1}
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
    Leases(database, study.study_name).claim(5, "w1")
    assert read_status(database, study.study_name).claimable == ()


def test_deaths_are_counted_by_outcome_and_cause_most_frequent_first() -> None:
    ends = [
        (0, Outcome.COMPLETE, ""),
        (1, Outcome.CRASHED, "killed (SIGKILL)"),
        (2, Outcome.DIVERGED, "loss_rpn_box"),
        (3, Outcome.SLOW, "rung 1"),
        (4, Outcome.DIVERGED, "loss_rpn_box"),
        (5, Outcome.DIVERGED, "gradient"),
    ]
    records = [OutcomeRecord(trial=t, outcome=o, cause=c, message="", step=1, images=1) for t, o, c in ends]
    assert deaths(records) == (
        Death(outcome="diverged", cause="loss_rpn_box", trials=(2, 4)),
        Death(outcome="crashed", cause="killed (SIGKILL)", trials=(1,)),
        Death(outcome="diverged", cause="gradient", trials=(5,)),
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
        console.print(status_report(database, study.study_name))
    text = captured.get()
    assert max(map(len, text.splitlines())) <= 100
    for expected in (
        "5 of 40 finished (2 complete, 2 pruned, 1 fail, 1 running, 1 waiting)",
        "trial 3: AP 0.420 after 324 images, complete",
        "trial 0: AP 0.300",
        "loss_rpn_box",
        "killed (SIGKILL)",
        "node-a",
        "7.2",
        "trials per hour",
        "the next launch goes on",
    ):
        assert expected in text


def test_an_empty_study_has_a_status_too(database: Database) -> None:
    create_or_load_study(database, "new")
    console = Console(width=100, file=io.StringIO())
    with console.capture() as captured:
        console.print(status_report(database, "new"))
    assert "no trial has a value yet" in captured.get()


def test_the_json_holds_the_same_and_is_plain(status: Status) -> None:
    read = json.loads(status_json(status))
    assert read["best"]["number"] == 3
    assert read["best"]["state"] == "complete"
    assert read["deaths"][0]["outcome"] in ("diverged", "crashed")
    assert read["workers"][0]["host"] == "node-a"
    assert datetime.fromisoformat(read["workers"][0]["seen_at"])


def test_an_unknown_study_is_an_error(database: Database) -> None:
    with pytest.raises(StorageError, match="no study 'nothing'"):
        read_status(database, "nothing")


def _finished(begin_min: int, end_min: int) -> FrozenTrial:
    trial = create_trial(state=TrialState.COMPLETE, value=0.0)
    trial.datetime_start = MIDNIGHT + timedelta(minutes=begin_min)
    trial.datetime_complete = MIDNIGHT + timedelta(minutes=end_min)
    return trial
