"""Studies whose trials pause at rungs, with the real queue, storage and worker and the analytic trainer."""

import json
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import update

from search.plan import Plan
from search.policy.schedule import is_over
from search.policy.settlement import read_settlement
from search.report.status import read_status
from search.study.specification import specification_to_json
from search.worker import recorder
from search.worker.loop import Worker
from storage.connection import tables
from storage.connection.database import Database
from storage.leases import Leases
from storage.outcomes import outcomes_by_trial
from storage.standings import count_standings, paused
from storage.study import StoredStudy, create_study, find_study, read_trials, save_specification
from storage.workers import gone, seen
from tests.support.studies import varied
from tests.support.workforce import PACE
from trial.outcome import Outcome
from trial.reading import Reading
from trial.standing import Standing


@pytest.fixture
def pausing(plan: Plan) -> Plan:
    """16 trials that pause at 160 and 480 of 1440 images; one in four goes on."""
    return varied(plan, trials=16, pruner="promotion")


def worker(database: Database, plan: Plan, *, stop: threading.Event | None = None) -> Worker:
    return Worker(create_study(database, plan.study), plan, stop=stop or threading.Event(), pace=PACE)


def readings(study: StoredStudy) -> dict[int, int]:
    return {trial.number: len(trial.intermediate_values) for trial in read_trials(study)}


def stop_after(stop: threading.Event, study: StoredStudy, count: int) -> None:
    """Stop as soon as the study has so many readings, or after a minute."""
    until_s = time.monotonic() + 60
    while sum(readings(study).values()) < count and time.monotonic() < until_s:
        time.sleep(0.05)
    stop.set()


def rungs_passed(study: StoredStudy) -> Counter[int]:
    return Counter(len(trial.intermediate_values) for trial in read_trials(study))


def test_the_best_of_those_that_paused_are_trained_in_full_and_the_others_are_told_at_the_end(database, pausing):
    assert worker(database, pausing).run() == 0
    study = find_study(database, pausing.study)
    outcomes, trials = outcomes_by_trial(study), read_trials(study)
    assert len(trials) == 16
    assert set(outcomes.values()) <= {Outcome.COMPLETE, Outcome.OUTRANKED, Outcome.DIVERGED, Outcome.NOT_LEARNING}
    passed = rungs_passed(study)
    assert passed[3] >= 1  # one was trained in full
    reached = sum(passed[rungs] for rungs in (1, 2, 3))
    assert reached // 4 <= passed[2] + passed[3] <= reached // 4 + 3  # the quota, and a record or two
    best = max(trials, key=lambda trial: trial.intermediate_values.get(160, 0.0))
    assert len(best.intermediate_values) > 1
    assert is_over(study, pausing.specification)
    complete = {trial for trial, outcome in outcomes.items() if outcome is Outcome.COMPLETE}
    assert set(pausing.kept_trials()) <= complete


def test_eight_workers_share_the_trials_and_none_is_trained_twice(database, pausing):
    threads = [threading.Thread(target=worker(database, pausing).run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    study = find_study(database, pausing.study)
    save_specification(study, specification_to_json(pausing.specification))
    assert count_standings(study) == {Standing.FINISHED: 16}
    assert rungs_passed(study)[3] >= 1
    assert read_status(study).changed_hands == {}


def test_a_study_that_ends_when_it_is_settled_begins_no_trial_from_then_on(database, pausing, monkeypatch):
    monkeypatch.setattr(recorder, "score", lambda record: Reading(value=record.ap, error=0.5))  # says next to nothing
    plan = varied(pausing, trials=100, until_settled=True)
    threads = [threading.Thread(target=worker(database, plan).run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    study = find_study(database, plan.study)
    found, trials = read_settlement(study), read_trials(study)
    assert found is not None
    assert found.gain < found.error == 0.5
    assert found.begun <= len(trials) < 40  # those that were refused before any training are among them
    assert rungs_passed(study)[3] >= 1
    assert is_over(study, plan.specification)
    save_specification(study, specification_to_json(plan.specification))
    assert read_status(study).settled == found
    assert worker(database, plan).run() == 0  # another launch begins none either
    assert len(read_trials(study)) == len(trials)


def test_a_budget_of_full_trainings_is_kept(database, pausing):
    plan = varied(pausing, trials=None, trainings=4.0)
    assert worker(database, plan).run() == 0
    study = find_study(database, plan.study)
    images = sum(max(trial.intermediate_values, default=0) for trial in read_trials(study))
    assert 3.5 * 1440 < images <= 4 * 1440
    assert len(read_trials(study)) > 4
    assert is_over(study, plan.specification)


def stopped_with_some_waiting(database: Database, plan: Plan) -> StoredStudy:
    """The study when at least five trials wait."""
    stop = threading.Event()
    study = create_study(database, plan.study)

    def watch() -> None:
        while len(paused(study)) < 5:
            stop.wait(0.02)
        stop.set()

    watching = threading.Thread(target=watch)
    watching.start()
    worker(database, plan, stop=stop).run()
    watching.join()
    return study


def test_trials_that_wait_survive_a_stop_and_go_on_with_the_next_launch(database, pausing):
    study = stopped_with_some_waiting(database, pausing)
    waiting = paused(study)
    assert count_standings(study)[Standing.PAUSED] == len(waiting) >= 5
    assert read_status(study).paused == tuple(waiting)
    assert not is_over(study, pausing.specification)
    assert worker(database, pausing).run() == 0
    assert count_standings(study) == {Standing.FINISHED: 16}


def test_a_trial_without_its_checkpoint_is_trained_again_up_to_where_it_was(database, pausing):
    study = stopped_with_some_waiting(database, pausing)
    for trial in paused(study):
        for file in pausing.trial_directory(trial).rglob("*"):
            file.unlink()
        pausing.trial_directory(trial).rmdir()
    assert worker(database, pausing).run() == 0
    assert rungs_passed(study)[3] >= 1


def test_checkpoints_beyond_the_bound_go_and_the_most_promising_stay(database, pausing):
    plan = varied(pausing, checkpoints_gb=1e-6)  # one kilobyte
    study = stopped_with_some_waiting(database, plan)
    waiting = paused(study)
    kept = [trial for trial in waiting if trial in plan.kept_trials()]
    values = {trial.number: trial.intermediate_values for trial in read_trials(study)}
    best = max(waiting, key=lambda trial: (max(values[trial]), values[trial][max(values[trial])]))
    assert len(kept) < len(waiting)
    assert not kept or best in kept


def test_a_trial_whose_checkpoint_lies_with_a_living_worker_of_another_host_is_left_to_it(database, pausing, tmp_path):
    study = stopped_with_some_waiting(database, pausing)
    elsewhere = replace(pausing, folder=tmp_path / "elsewhere")
    with database.writing() as connection:
        told = {"ap": 0.1, "host": "another"}
        connection.execute(update(tables.outcomes).values(evidence=json.dumps(told)))
    seen(study, "another-1", host="another", pid=1, device="cpu", trial=None, images=0, images_per_s=0.0)
    waiting = paused(study)
    before = readings(study)
    stop = threading.Event()
    threading.Thread(target=stop_after, args=(stop, study, sum(before.values()) + 1)).start()
    worker(database, elsewhere, stop=stop).run()
    after = readings(study)
    assert {trial: after[trial] for trial in waiting} == {trial: before[trial] for trial in waiting}
    assert sum(after.values()) > sum(before.values())  # it had others to train
    gone(study, "another-1")
    assert worker(database, elsewhere).run() == 0  # nobody else is left to do it
    assert count_standings(study) == {Standing.FINISHED: 16}


def test_a_study_that_was_begun_by_the_stopping_rule_goes_on_with_it(database, plan):
    assert worker(database, plan).run() == 0
    assert Outcome.PAUSED not in outcomes_by_trial(find_study(database, plan.study)).values()


def test_a_worker_that_dies_with_a_promoted_trial_leaves_it_waiting(database, pausing):
    study = stopped_with_some_waiting(database, pausing)
    leases = Leases(study, duration_s=60.0)
    trial = paused(study)[0]
    lease = leases.claim(trial, "dead")
    assert trial not in paused(study)
    leases.release(lease)
    assert trial in paused(study)
