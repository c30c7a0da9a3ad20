import threading
import time
from dataclasses import replace

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from detector.config import Optimizer
from search.explanation.case import cases_of
from search.outcomes import Outcome
from search.plan import Plan
from search.rate_screen import rate_verdict
from search.spending import was_refused
from search.status import read_status
from search.worker import DONE, Worker
from spaces.faster_rcnn import Space
from spaces.parameters import Fixed, Real
from storage.database import Database
from storage.outcomes import read_outcomes
from storage.studies import create_or_load_study, load_study
from storage.telemetry import read_rungs, read_telemetry
from tests.search.conftest import all_shown
from tests.search.workforce import two_at_once

WIDE = Space.default().replaced(
    {"lr_per_16": Real(low=1e-4, high=10.0, log=True), "adam_lr_per_16": Real(low=1e-6, high=0.1, log=True)}
)
SGD, ADAM = Optimizer.SGD, Optimizer.ADAM


def point(rate: float, optimizer: Optimizer = SGD) -> dict:
    name = "lr_per_16" if optimizer is SGD else "adam_lr_per_16"
    return WIDE.nearest({"optimizer": optimizer.value, name: rate})


def ended(
    *rates: float, outcome: str = Outcome.DIVERGED, optimizer: Optimizer = SGD, first: int = 0
) -> list[FrozenTrial]:
    """Trials as a worker leaves them, numbered from `first`."""
    return [made(number, point(rate, optimizer), outcome) for number, rate in enumerate(rates, first)]


def made(number: int, values: dict, outcome: str) -> FrozenTrial:
    trial = create_trial(
        state=TrialState.PRUNED,
        params=values,
        distributions={name: optuna.distributions.CategoricalDistribution([value]) for name, value in values.items()},
        user_attrs={"outcome": str(outcome)},
    )
    trial.number = number
    return trial


def refused(trials: list[FrozenTrial], rate: float, optimizer: Optimizer = SGD, most: float = 0.6) -> bool:
    return rate_verdict(WIDE, WIDE.configuration(point(rate, optimizer)), trials, most=most) is not None


def test_a_rate_is_refused_where_trials_diverged_and_not_where_they_trained():
    trials = [*ended(0.5, 0.8), *ended(0.01, 0.05, outcome=Outcome.COMPLETE, first=2)]
    assert refused(trials, 1.0)
    assert refused(trials, 10.0)
    assert not refused(trials, 0.05)
    assert not refused(trials, 0.1)  # between both nobody knows


def test_nothing_is_refused_before_a_trial_of_that_optimizer_diverged():
    trials = [*ended(0.01, outcome=Outcome.SLOW), *ended(1e-4, 1e-3, optimizer=ADAM, first=1)]
    assert not refused(trials, 10.0)
    assert refused(trials, 0.1, ADAM)


@pytest.mark.parametrize("outcome", [Outcome.NOT_LEARNING, Outcome.CRASHED, Outcome.HOPELESS, Outcome.RISKY, ""])
def test_other_ends_tell_nothing_of_a_rate(outcome):
    """Above all what was refused itself, or a refusal would be the reason of the next one."""
    both = [*ended(1.0), *ended(0.02, outcome=Outcome.COMPLETE, first=1)]
    more = ended(*[0.1] * 50, outcome=outcome, first=2)
    assert refused(both, 0.1) == refused([*both, *more], 0.1)


def test_a_trial_that_trained_beyond_others_that_diverged_moves_the_boundary_up():
    trials = [*ended(1.0), *ended(0.02, outcome=Outcome.COMPLETE, first=1)]
    assert refused(trials, 0.9)
    assert not refused([*trials, *ended(0.5, 0.6, 0.7, outcome=Outcome.COMPLETE, first=2)], 0.9)


def test_trials_outside_of_the_space_are_left_out():
    foreign = made(0, {"somebody": "elses"}, Outcome.DIVERGED)
    assert not refused([foreign], 10.0)
    assert refused([foreign, *ended(1.0, first=1)], 10.0)


def test_the_reason_names_the_trials_behind_it():
    trials = [*ended(0.5, 0.8), *ended(0.05, outcome=Outcome.COMPLETE, first=2)]
    verdict = rate_verdict(WIDE, WIDE.configuration(point(2.0)), trials, most=0.6)
    assert verdict is not None
    assert (verdict.outcome, verdict.cause, verdict.images) == (Outcome.RISKY, "learning rate", 0)
    assert "a learning rate of 2 per 16 images" in verdict.message
    assert "of the trials with sgd 2 did, from 0.5 on; others trained up to 0.05" in verdict.message
    assert 0.6 < verdict.evidence["risk"] < 1


def test_ten_thousand_trials_are_judged_within_milliseconds():
    """Also the first time: a worker that joins a large study holds up the others meanwhile."""
    trials = [*ended(*[0.5] * 100), *ended(*[0.02] * 9900, outcome=Outcome.COMPLETE, first=100)]
    wanted = WIDE.configuration(point(2.0))
    began = time.thread_time()
    assert rate_verdict(WIDE, wanted, trials, most=0.6) is not None
    assert time.thread_time() - began < 0.25  # 30 ms on a quiet machine


def test_what_the_study_fixes_counts_as_if_each_trial_had_proposed_it():
    """Fixed values are in no trial's parameters."""
    fixed = WIDE.replaced({"optimizer": Fixed(value="sgd"), "batch_size": Fixed(value=4)})
    trials = [made(n, fixed.nearest({"lr_per_16": 1.0}), Outcome.DIVERGED) for n in range(2)]
    assert not trials[0].params.keys() & {"optimizer", "batch_size"}
    wanted = fixed.configuration(fixed.nearest({"lr_per_16": 5.0}))
    assert rate_verdict(fixed, wanted, trials, most=0.6) is not None


@pytest.fixture
def wide(plan: Plan) -> Plan:
    """Thirty closed-form trials, most of whose proposals would diverge."""
    return replace(plan, space=WIDE, trials=30, most_divergence_risk=0.6)


def work(database: Database, plan: Plan) -> int:
    create_or_load_study(database, plan.study)
    return Worker(database, plan, stop=threading.Event()).run()


def trials_of(database: Database, plan: Plan) -> list[FrozenTrial]:
    return load_study(database, plan.study).get_trials(deepcopy=False)


def diverged(database: Database, plan: Plan) -> int:
    return sum(record.outcome == Outcome.DIVERGED for record in read_outcomes(database, plan.study))


def test_risky_proposals_cost_nothing_and_few_trials_diverge(database, wide):
    assert work(database, wide) == DONE
    refused = [trial for trial in trials_of(database, wide) if was_refused(trial)]
    assert len(trials_of(database, wide)) - len(refused) == 30
    assert len(refused) >= 5
    for trial in refused:
        assert (trial.state, trial.constraints) == (TrialState.PRUNED, {"risky": 1.0, "0": 1.0})
        assert read_rungs(database, wide.study, trial.number) == []
        assert read_telemetry(database, wide.study, trial.number) == []
        assert not wide.trial_directory(trial.number).exists()
    assert diverged(database, wide) <= 8


def test_at_a_risk_of_one_every_proposal_is_trained(database, wide):
    plan = replace(wide, most_divergence_risk=1.0)
    assert work(database, plan) == DONE
    assert len(trials_of(database, plan)) == 30
    assert diverged(database, plan) >= 9  # more than above


def test_somebodys_own_trial_is_trained_at_any_rate(database, wide):
    study = create_or_load_study(database, wide.study)
    for _ in range(4):
        study.enqueue_trial(point(10.0))
    work(database, replace(wide, trials=4))
    assert diverged(database, wide) == 4


def test_two_workers_keep_the_budget(storage_url, database, wide, monkeypatch):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.001")
    assert two_at_once(storage_url, lambda own: work(own, wide)) == [DONE, DONE]
    trials = trials_of(database, wide)
    assert all(trial.state.is_finished() for trial in trials)
    assert len(trials) - sum(map(was_refused, trials)) == 30


def test_refused_proposals_are_shown_as_such_and_explain_nothing(database, wide):
    work(database, wide)
    count = sum(map(was_refused, trials_of(database, wide)))
    status = read_status(database, wide.study)
    assert (status.finished, status.refused) == (30, count)
    text = all_shown(database, wide)
    assert text.count(f"{count} risky (trials at such learning rates diverged)") == 2
    assert "not trained, risky: a learning rate of" in text
    outcomes = read_outcomes(database, wide.study)
    cases = cases_of(WIDE, trials_of(database, wide), outcomes, read_rungs(database, wide.study))
    risky = [case for case in cases if case.ending == Outcome.RISKY]
    assert len(risky) == count
    assert not any(case.failed or case.healthy for case in risky)
