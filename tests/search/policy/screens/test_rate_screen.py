import threading
import time

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from detector.config import Optimizer
from search.exit_codes import ExitCode
from search.plan import Plan
from search.policy.screens.feasibility import Screening
from search.policy.screens.rate_screen import EndedTrial, rate_verdict
from search.report.status import read_status
from search.report.trial_history import trial_records
from search.study.policy_section import Sampler
from search.worker.loop import Worker
from search.worker.outage import Outage
from search.worker.outbox import End, Evaluation, Outbox
from search.worker.queue import TrialQueue
from search.worker.recorder import TrialRecorder
from spaces.faster_rcnn import Space
from spaces.parameters import Fixed, Float
from storage.connection.database import Database
from storage.leases import Leases
from storage.outcomes import outcomes_by_trial, read_outcomes
from storage.study import find_study
from storage.telemetry import read_rungs, read_telemetry
from tests.search.conftest import all_shown
from tests.support.studies import create_optuna_study, load_optuna_study, varied
from tests.support.workforce import two_at_once
from trial.outcome import Outcome
from trial.reports import RungReport
from trial.verdict import Verdict

WIDE = Space.default().replaced(
    {"lr_per_16": Float(low=1e-4, high=10.0, log=True), "adam_lr_per_16": Float(low=1e-6, high=0.1, log=True)}
)
SGD, ADAM = Optimizer.SGD, Optimizer.ADAM


def point(rate: float, optimizer: Optimizer = SGD) -> dict:
    name = "lr_per_16" if optimizer is SGD else "adam_lr_per_16"
    return WIDE.nearest({"optimizer": optimizer.value, name: rate})


def ended(*rates: float, outcome: Outcome = Outcome.DIVERGED, optimizer: Optimizer = SGD) -> list[EndedTrial]:
    """What trials at these rates proposed, and how they ended."""
    return [(point(rate, optimizer), outcome) for rate in rates]


def refused(trials: list[EndedTrial], rate: float, optimizer: Optimizer = SGD, most: float = 0.6) -> bool:
    return rate_verdict(WIDE, WIDE.configuration(point(rate, optimizer)), trials, most=most) is not None


def risk(trials: list[EndedTrial], rate: float) -> float:
    verdict = rate_verdict(WIDE, WIDE.configuration(point(rate)), trials, most=0.0)
    return verdict.evidence["risk"]


def test_a_rate_is_refused_where_trials_diverged_and_not_where_they_trained():
    trials = [*ended(0.5, 0.8), *ended(0.01, 0.05, outcome=Outcome.COMPLETE)]
    assert refused(trials, 1.0)
    assert refused(trials, 10.0)
    assert not refused(trials, 0.05)
    assert not refused(trials, 0.1)  # between both nobody knows


def test_nothing_is_refused_before_a_trial_of_that_optimizer_diverged():
    trials = [*ended(0.01, outcome=Outcome.OUTRANKED), *ended(1e-4, 1e-3, optimizer=ADAM)]
    assert not refused(trials, 10.0)
    assert refused(trials, 0.1, ADAM)


@pytest.mark.parametrize(
    "outcome", [Outcome.NOT_LEARNING, Outcome.CRASHED, Outcome.HOPELESS, Outcome.RISKY, Outcome.INTERRUPTED]
)
def test_other_ends_tell_nothing_of_a_rate(outcome):
    """Above all what was refused itself, or a refusal would be the reason of the next one."""
    both = [*ended(1.0), *ended(0.02, outcome=Outcome.COMPLETE)]
    for rate in (0.1, 3.0):
        more = ended(*[rate] * 50, outcome=outcome)
        assert risk(both, 0.3) == risk([*both, *more], 0.3)
    telling = ended(*[0.1] * 50, outcome=Outcome.OUTRANKED)
    assert risk([*both, *telling], 0.3) < risk(both, 0.3) - 0.1


def test_a_trial_that_has_not_ended_tells_nothing_of_a_rate():
    before = [proposed(number, rate) for number, rate in enumerate((1.0, 0.02, *[0.1] * 50))]
    outcomes = {0: Outcome.DIVERGED, 1: Outcome.COMPLETE}
    screening = Screening(WIDE, Sampler(), None)
    [alone, among] = (screening.verdict(proposed(52, 3.0), shown, outcomes) for shown in (before[:2], before))
    assert alone == among != None  # noqa: E711
    assert screening.verdict(proposed(52, 3.0), before, {1: Outcome.COMPLETE}) is None


def proposed(number: int, rate: float) -> FrozenTrial:
    values = point(rate)
    trial = create_trial(
        state=TrialState.RUNNING,
        params=values,
        distributions={name: CategoricalDistribution([value]) for name, value in values.items()},
    )
    trial.number = number
    return trial


def test_a_trial_that_trained_beyond_others_that_diverged_moves_the_boundary_up():
    trials = [*ended(1.0), *ended(0.02, outcome=Outcome.COMPLETE)]
    assert refused(trials, 0.9)
    assert not refused([*trials, *ended(0.5, 0.6, 0.7, outcome=Outcome.COMPLETE)], 0.9)


def test_trials_outside_of_the_space_are_left_out():
    foreign = ({"somebody": "elses"}, Outcome.DIVERGED)
    assert not refused([foreign], 10.0)
    zero = ({**point(1.0), "lr_per_16": 0.0}, Outcome.DIVERGED)
    no_images = ({**point(1.0), "batch_size": 0}, Outcome.DIVERGED)
    assert not refused([zero, no_images], 10.0)
    assert refused([foreign, *ended(1.0)], 10.0)


def test_the_reason_names_the_trials_behind_it():
    trials = [*ended(0.5, 0.8), *ended(0.05, outcome=Outcome.COMPLETE)]
    verdict = rate_verdict(WIDE, WIDE.configuration(point(2.0)), trials, most=0.6)
    assert verdict is not None
    assert (verdict.outcome, verdict.cause, verdict.images) == (Outcome.RISKY, "learning rate", 0)
    assert "a learning rate of 2 per 16 images" in verdict.message
    assert "of the trials with sgd 2 did, from 0.5 on; others trained up to 0.05" in verdict.message
    assert 0.6 < verdict.evidence["risk"] < 1


def test_ten_thousand_trials_are_judged_in_a_moment():
    """Also the first time: a worker that joins a large study holds up the others meanwhile."""
    rates = np.random.default_rng(0).uniform(-4, 0.5, 10_000)
    trials = ended(*10 ** rates[:100])
    for number, rate in enumerate(rates[100:], 100):
        trials.append(({**point(10**rate), "batch_size": 1 + number % 64}, Outcome.COMPLETE))
    wanted = WIDE.configuration(point(2.0))
    began = time.thread_time()
    assert rate_verdict(WIDE, wanted, trials, most=0.0) is not None
    assert time.thread_time() - began < 2  # 70 ms on a quiet machine, 600 on a busy one; pair by pair: minutes


def test_what_the_study_fixes_counts_as_if_each_trial_had_proposed_it():
    """Fixed values are in no trial's parameters."""
    fixed = WIDE.replaced({"optimizer": Fixed(value="sgd"), "batch_size": Fixed(value=4)})
    trials = [(fixed.nearest({"lr_per_16": 1.0}), Outcome.DIVERGED)] * 2
    assert not trials[0][0].keys() & {"optimizer", "batch_size"}
    wanted = fixed.configuration(fixed.nearest({"lr_per_16": 5.0}))
    assert rate_verdict(fixed, wanted, trials, most=0.6) is not None


@pytest.fixture
def wide(plan: Plan) -> Plan:
    """Thirty closed-form trials, most of whose proposals would diverge."""
    return varied(plan, space=WIDE, trials=30, most_divergence_risk=0.6)


def refused_of(database: Database, plan: Plan) -> list[bool]:
    """Of each trial by number whether it was refused before any training."""
    outcomes = outcomes_by_trial(find_study(database, plan.study))
    return [trial.number in outcomes and outcomes[trial.number].refused for trial in trials_of(database, plan)]


def work(database: Database, plan: Plan) -> int:
    create_optuna_study(database, plan.study)
    return Worker(find_study(database, plan.study), plan, stop=threading.Event()).run()


def trials_of(database: Database, plan: Plan) -> list[FrozenTrial]:
    return load_optuna_study(database, plan.study).get_trials(deepcopy=False)


def diverged(database: Database, plan: Plan) -> int:
    return sum(record.outcome == Outcome.DIVERGED for record in read_outcomes(find_study(database, plan.study)))


def test_risky_proposals_cost_nothing_and_few_trials_diverge(database, wide):
    assert work(database, wide) == ExitCode.DONE
    refused = [trial for trial in trials_of(database, wide) if refused_of(database, wide)[trial.number]]
    assert len(trials_of(database, wide)) - len(refused) == 30
    assert len(refused) >= 5
    for trial in refused:
        assert (trial.state, trial.constraints) == (TrialState.PRUNED, {"risky": 1.0, "0": 1.0})
        assert read_rungs(find_study(database, wide.study), trial.number) == []
        assert read_telemetry(find_study(database, wide.study), trial.number) == []
        assert not wide.trial_directory(trial.number).exists()
    assert diverged(database, wide) <= 8


def test_at_a_risk_of_one_every_proposal_is_trained(database, wide):
    plan = varied(wide, most_divergence_risk=1.0)
    assert work(database, plan) == ExitCode.DONE
    assert len(trials_of(database, plan)) == 30
    assert diverged(database, plan) >= 9  # more than above


def test_somebodys_own_trial_is_trained_at_any_rate(database, wide):
    study = create_optuna_study(database, wide.study)
    for _ in range(4):
        study.enqueue_trial(point(10.0))
    work(database, varied(wide, trials=4))
    assert diverged(database, wide) == 4


def claimants(database: Database, plan: Plan) -> list[TrialQueue]:
    """Three workers as the queue sees them."""
    create_optuna_study(database, plan.study)
    outage = Outage(threading.Event(), give_up_s=1.0)
    return [
        TrialQueue(find_study(database, plan.study), plan, worker=name, lease_s=60.0, outage=outage) for name in "abc"
    ]


def abandon(database: Database, plan: Plan, trial: int) -> None:
    """As if the trial's lease had run out."""
    leases = Leases(find_study(database, plan.study))
    leases.release(next(lease for lease in leases.held() if lease.trial == trial))


def end(recorder: TrialRecorder, outcome: Outcome) -> None:
    recorder.finish(Verdict(outcome=outcome, cause="loss", images=40, step=2))
    recorder.deliver()


@pytest.fixture
def beyond(wide: Plan) -> Plan:
    """Every rate of its space is refused as soon as one trial has diverged."""
    high = {"lr_per_16": Float(low=5.0, high=10.0, log=True), "optimizer": Fixed(value="sgd")}
    return varied(wide, space=wide.space.replaced(high), trials=5)


def test_a_trial_that_was_begun_goes_on_whatever_others_show_meanwhile(database, beyond):
    first, lost, heir = claimants(database, beyond)
    known, begun = first.next_trial(), lost.next_trial()
    assert (known.number, begun.number) == (0, 1)
    end(known, Outcome.DIVERGED)
    abandon(database, beyond, trial=1)
    claimed = heir.next_trial()  # trained for long perhaps, though no rung has come
    assert (claimed.number, claimed.open()) == (1, None)
    end(claimed, Outcome.NOT_LEARNING)
    assert heir.next_trial() is None  # a new proposal is refused
    assert refused_of(database, beyond) == [False, False, True]


def test_a_trial_that_ended_unheard_keeps_its_end(database, beyond):
    """Its owner was cut off from the database, and has left the result on disk."""
    first, lost, heir = claimants(database, beyond)
    known, ended_unheard = first.next_trial(), lost.next_trial()
    outbox = Outbox(beyond.trial_directory(1), token=1)
    for images in beyond.rungs:
        record = RungReport(images=images, step=images, ap=0.5, metrics={}, training_s=1.0, evaluation_s=1.0)
        outbox.append(Evaluation(rung=images, record=record))
    outbox.append(End(verdict=Verdict(outcome=Outcome.COMPLETE, images=1440, step=1440)))
    end(known, Outcome.DIVERGED)
    abandon(database, beyond, trial=1)
    claimed = heir.next_trial()
    standing = claimed.open()
    assert (claimed.number, standing.outcome) == (ended_unheard.number, Outcome.COMPLETE)
    claimed.finish(standing)
    claimed.deliver()
    assert trials_of(database, beyond)[1].value == 0.5


def test_two_workers_keep_the_budget(storage_url, database, wide, monkeypatch):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.001")
    assert two_at_once(storage_url, lambda own: work(own, wide)) == [ExitCode.DONE, ExitCode.DONE]
    trials = trials_of(database, wide)
    assert all(trial.state.is_finished() for trial in trials)
    assert len(trials) - sum(refused_of(database, wide)) == 30


def test_refused_proposals_are_shown_as_such_and_explain_nothing(database, wide):
    work(database, wide)
    count = sum(refused_of(database, wide))
    status = read_status(find_study(database, wide.study))
    assert (status.finished, status.refused) == (30, count)
    text = all_shown(database, wide)
    assert text.count(f"{count} risky (trials at such learning rates diverged)") == 2
    assert "not trained, risky: a learning rate of" in text
    outcomes = read_outcomes(find_study(database, wide.study))
    cases = trial_records(
        wide.specification, trials_of(database, wide), outcomes, read_rungs(find_study(database, wide.study))
    )
    risky = [case for case in cases if case.ending == Outcome.RISKY]
    assert len(risky) == count
    assert all(case.refused and not (case.failed or case.healthy) for case in risky)
