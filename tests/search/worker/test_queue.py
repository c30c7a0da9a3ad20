"""What a new trial costs: few statements, few readings of the study, one sampler."""

import threading
from collections import Counter

import pytest
from sqlalchemy import event

from search.plan import Plan
from search.worker import queue
from search.worker.outage import Outage
from search.worker.queue import TrialQueue
from search.worker.recorder import TrialRecorder
from spaces.catalogue import DEFINITIONS
from spaces.parameters import Fixed
from storage.connection import optuna_storage, trials
from storage.connection.database import Database
from storage.study import create_study
from tests.support.studies import load_optuna_study, varied
from trial.outcome import Outcome
from trial.reports import RungReport
from trial.verdict import Verdict

ENDED = 15  # with ten start-up trials: the sampler models them
MOST_STATEMENTS = 60
MOST_READINGS = 2


def queue_of(database: Database, plan: Plan, worker: str) -> TrialQueue:
    outage = Outage(threading.Event(), give_up_s=1.0)
    return TrialQueue(create_study(database, plan.study), plan, worker=worker, lease_s=60.0, outage=outage)


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
        (queue, "make_sampler", "samplers"),
    ):
        monkeypatch.setattr(module, name, counted(getattr(module, name), cost, what))
    trial = begun(its)
    spent = dict(cost)

    assert trial.number == ENDED
    assert len(load_optuna_study(database, plan.study).trials[ENDED].params) >= 17
    assert 0 < spent["statements"] <= MOST_STATEMENTS, spent
    assert 0 < spent["readings"] <= MOST_READINGS, spent
    assert spent["samplers"] == 1, spent


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
