"""What a new trial costs: few statements, few readings of the study, one sampler."""

import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from search.plan import Plan
from search.policy.proposal import propose
from search.worker import asker
from search.worker.outage import Outage
from search.worker.queue import TrialQueue
from search.worker.recorder import TrialRecorder
from spaces.catalogue import DEFINITIONS
from spaces.parameters import Fixed
from storage.connection import optuna_storage, trials
from storage.connection.database import Database
from storage.leases import Leases
from storage.standings import left_behind
from storage.study import create_study, find_study
from tests.storage.test_leases import expire
from tests.support.studies import load_optuna_study, varied
from trial.outcome import Outcome
from trial.reports import RungReport
from trial.verdict import Verdict

ENDED = 15  # with ten start-up trials: the sampler models them
MOST_STATEMENTS = 60
MOST_READINGS = 2


def queue_of(database: Database, plan: Plan, worker: str, *, lease_s: float = 60.0) -> TrialQueue:
    outage = Outage(threading.Event(), give_up_s=1.0)
    return TrialQueue(create_study(database, plan.study), plan, worker=worker, lease_s=lease_s, outage=outage)


def begun(its: TrialQueue) -> TrialRecorder:
    """The next trial, ready to be trained."""
    trial = its.next_trial()
    assert trial is not None
    assert trial.open() is None
    return trial


def end(trial: TrialRecorder, rungs: tuple[int, ...]) -> None:
    for rung in rungs:
        ap = 0.01 * trial.number
        trial.rung(RungReport(step=rung, images=rung, ap=ap, metrics={}, training_s=1.0, evaluation_s=1.0), rung)
    trial.finish(Verdict(outcome=Outcome.COMPLETE))
    trial.deliver()


@pytest.mark.parametrize("newcomer", [False, True], ids=["to a worker that knows the study", "to one that does not"])
def test_a_new_trial_costs_few_statements_two_readings_and_one_sampler(database, plan, monkeypatch, newcomer):
    plan = varied(plan, trials=100)
    its = queue_of(database, plan, "a")
    for _ in range(ENDED):
        end(begun(its), plan.rungs)
    its = queue_of(database, plan, "b") if newcomer else its

    cost: Counter[str] = Counter()
    event.listen(database.engine, "before_cursor_execute", lambda *_: cost.update(["statements"]))
    for module, name, what in (
        (trials, "read_trials", "readings"),
        (optuna_storage, "read_trials", "readings"),
        (asker, "make_sampler", "samplers"),
    ):
        monkeypatch.setattr(module, name, counted(getattr(module, name), cost, what))
    trial = begun(its)
    spent = dict(cost)

    assert trial.number == ENDED
    assert len(load_optuna_study(database, plan.study).trials[ENDED].params) >= 15
    assert 0 < spent["statements"] <= MOST_STATEMENTS, spent
    assert 0 < spent["readings"] <= MOST_READINGS, spent
    assert spent["samplers"] == 1, spent


def test_a_trial_whose_takeover_takes_longer_than_its_lease_changes_hands_once(database, plan, monkeypatch):
    plan = varied(plan, trials=1)
    begun(queue_of(database, plan, "a"))
    expire(database)
    study = find_study(database, plan.study)
    seen: list[list[int]] = []

    def slow(*arguments, **named):
        for _ in range(8):
            time.sleep(0.25)
            seen.append(left_behind(study))
        return propose(*arguments, **named)

    monkeypatch.setattr(asker, "propose", slow)
    trial = begun(queue_of(database, plan, "b", lease_s=0.8))
    assert seen == [[]] * 8  # nobody else may take it meanwhile
    assert trial.number == 0
    assert Leases(study).changes_of_hands() == {0: 1}


def test_who_asks_for_longer_than_a_lease_gets_longer_leases(database, plan, monkeypatch, caplog):
    plan = varied(plan, trials=4)
    its = queue_of(database, plan, "a", lease_s=0.3)
    monkeypatch.setattr(asker, "propose", lambda *a, **b: time.sleep(0.5) or propose(*a, **b))
    assert begun(its).number == 0
    assert "too long for leases of 0.3 s" in caplog.text
    [lease] = Leases(find_study(database, plan.study)).held()
    its._leases.renew(lease)
    [lease] = Leases(find_study(database, plan.study)).held()
    assert lease.expires_at - datetime.now(UTC) > timedelta(seconds=1)


def counted(function, cost: Counter[str], what: str):
    def call(*arguments, **named):
        cost[what] += 1
        return function(*arguments, **named)

    return call


def test_a_study_that_fixes_every_parameter_has_trials_too(database, plan):
    fixed = {name: Fixed(value=DEFINITIONS[name].reference) for name in plan.space.parameters}
    plan = varied(plan, space=plan.space.replaced(fixed), trials=2)
    its = queue_of(database, plan, "a")
    assert begun(its).parameters == {}
