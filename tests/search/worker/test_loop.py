import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from optuna.trial import TrialState

from search.exit_codes import ExitCode, exit_code_of
from search.plan import Plan
from search.report.status import read_status
from search.trainer import warm as warm_trainer
from search.trainer.analytic_faults import BUSY_S
from search.trainer.exits import DiskFull, SetupFailed
from search.trainer.link import TrainerLink
from search.trainer.warm import WarmTrainer
from search.trainer.watchdog import Timeouts
from search.worker.loop import Pace, Worker, worker_name
from spaces.parameters import Fixed
from storage.connection.database import Database
from storage.leases import Leases
from storage.outcomes import read_outcome, read_outcomes, record_outcome
from storage.standings import left_behind
from storage.study import create_study, find_study
from storage.telemetry import read_rungs, read_telemetry
from storage.workers import read_workers
from tests.search.conftest import all_shown
from tests.support.studies import create_optuna_study, load_optuna_study, varied
from tests.support.workforce import two_at_once
from trial.outcome import Outcome
from trial.verdict import DISK_FULL, Verdict


def work(database: Database, plan: Plan, *, stop: threading.Event | None = None, **options) -> int:
    return Worker(create_study(database, plan.study), plan, stop=stop or threading.Event(), **options).run()


def trials_of(database: Database, plan: Plan):
    return load_optuna_study(database, plan.study).get_trials(deepcopy=False)


@pytest.fixture
def faults(monkeypatch):
    """Says which trainers break (search/trainer/analytic_faults.py)."""
    return lambda text: monkeypatch.setenv("FRCNN_ANALYTIC_FAULTS", text)


@pytest.fixture
def until_stopped(database, plan) -> Iterator[threading.Event]:
    """Set as soon as trial 1 has shown its first figures."""
    stop, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            if any(w.trial == 1 and w.images_per_s for w in read_workers(find_study(database, plan.study))):
                stop.set()

    create_optuna_study(database, plan.study)
    thread = threading.Thread(target=watch)
    thread.start()
    yield stop
    over.set()
    thread.join()


@pytest.fixture
def diverging(plan) -> Plan:
    """Half of this space explodes: at momentum 0.9 rates above 0.1 do, two of the four decades from 0.001 to 10."""
    parameters = {"optimizer": Fixed(value="sgd"), "momentum": Fixed(value=0.9), "rpn_lr_factor": Fixed(value=1.0)}
    wide = replace(plan.space.parameters["lr_per_16"], low=1e-3, high=10.0)
    space = plan.space.replaced({**parameters, "lr_per_16": wide})
    return varied(plan, space=space, trials=24, startup_trials=8)


def test_a_study_ends_with_exactly_its_trials_each_with_an_outcome(database, diverging):
    assert work(database, diverging) == ExitCode.DONE
    trials = trials_of(database, diverging)
    outcomes = {record.trial: record for record in read_outcomes(find_study(database, diverging.study))}
    assert [trial.number for trial in trials] == list(range(24))
    assert sorted(outcomes) == list(range(24))
    expected = {
        Outcome.COMPLETE: TrialState.COMPLETE,
        Outcome.OUTRANKED: TrialState.PRUNED,
        Outcome.DIVERGED: TrialState.PRUNED,
    }
    assert all(trial.state is expected[Outcome(outcomes[trial.number].outcome)] for trial in trials)
    assert {record.outcome for record in outcomes.values()} == set(expected)
    assert trials[0].params == diverging.space.reference()
    for trial in trials:
        reported = sorted(trial.intermediate_values)
        assert reported == list(diverging.rungs[: len(reported)])  # nominal counts, whatever the batch size
        assert len(read_rungs(find_study(database, diverging.study), trial.number)) == len(reported)
    assert read_workers(find_study(database, diverging.study)) == []
    check_diverged(database, diverging)


def check_diverged(database: Database, diverging: Plan) -> None:
    """They carry constraint and cause, and the sampler keeps away from their region."""
    trials = trials_of(database, diverging)
    diverged = [
        record for record in read_outcomes(find_study(database, diverging.study)) if record.outcome == Outcome.DIVERGED
    ]
    for record in diverged:
        trial = trials[record.trial]
        assert trial.params["lr_per_16"] > 0.1
        assert trial.constraints["diverged"] == 1.0
        assert trial.value is None or trial.intermediate_values
        assert (record.cause, record.evidence["loss_rpn_class"]) == ("loss_rpn_class", float("inf"))
        assert record.step <= 20
        assert read_telemetry(find_study(database, diverging.study), record.trial)[-1].figures["loss"] == float("inf")
    assert load_optuna_study(database, diverging.study).best_trial.number not in {record.trial for record in diverged}
    assert sum(record.trial < 8 for record in diverged) >= 2
    # Blind proposals would diverge in half of the 16 later trials; the sampler's do in less than a quarter.
    assert sum(record.trial >= 8 for record in diverged) < 4


def test_the_same_plan_proposes_the_same_trials(tmp_path, plan):
    proposals = []
    for name in ("a", "b"):
        with Database.open(f"sqlite:///{tmp_path / name}.db") as database:
            assert work(database, varied(plan, folder=tmp_path / name)) == ExitCode.DONE
            proposals.append([(t.params, t.intermediate_values, t.state) for t in trials_of(database, plan)])
    assert proposals[0] == proposals[1]
    assert len({json.dumps(params) for params, _, _ in proposals[0]}) == 12


def test_another_seed_proposes_other_trials(tmp_path, plan):
    seen = []
    for seed in (1, 2):
        with Database.open(f"sqlite:///{tmp_path / str(seed)}.db") as database:
            work(database, varied(plan, seed=seed, trials=2, folder=tmp_path / str(seed)))
            seen.append([trial.params for trial in trials_of(database, plan)])
    assert seen[0][0] == seen[1][0] == plan.space.reference()
    assert seen[0][1] != seen[1][1]


def test_a_killed_trainer_is_replaced_and_the_trial_goes_on(database, plan, faults):
    faults("2:kill:1")
    assert work(database, plan) == ExitCode.DONE
    trial = trials_of(database, plan)[2]
    assert (plan.folder / "logs").exists()
    assert trial.user_attrs["crashes"] == 1
    assert read_outcome(find_study(database, plan.study), 2).outcome in (Outcome.COMPLETE, Outcome.OUTRANKED)
    assert len(trials_of(database, plan)) == 12


@pytest.mark.parametrize(
    ("fault", "cause"), [("kill", "killed (SIGKILL)"), ("segfault", "killed (SIGSEGV)"), ("error", "RuntimeError")]
)
def test_a_trial_that_always_loses_its_trainer_fails_and_the_study_goes_on(database, plan, faults, fault, cause):
    faults(f"1:{fault}")
    assert work(database, varied(plan, trials=4)) == ExitCode.DONE
    trials = trials_of(database, plan)
    record = read_outcome(find_study(database, plan.study), 1)
    assert [trial.state for trial in trials].count(TrialState.FAIL) == 1
    assert trials[1].state is TrialState.FAIL
    assert trials[1].user_attrs["crashes"] == 3
    assert (record.outcome, record.cause) == (Outcome.CRASHED, cause)
    assert trials[1].constraints == {}  # no hyperparameter is to blame
    assert isinstance(record.evidence["stderr" if fault != "error" else "traceback"], str)
    assert len(trials) == 4


def test_memory_that_runs_out_is_the_configurations_fault(database, plan, faults):
    faults("1:memory")
    assert work(database, varied(plan, trials=4)) == ExitCode.DONE
    trials = trials_of(database, plan)
    record = read_outcome(find_study(database, plan.study), 1)
    assert (record.outcome, trials[1].state) == (Outcome.OUT_OF_MEMORY, TrialState.PRUNED)
    assert trials[1].constraints["out of memory"] == 1.0
    assert "12 GiB" in record.message
    assert all(trial.state.is_finished() for trial in trials)
    assert len(trials) == 4


@pytest.mark.parametrize(
    ("fault", "says"),
    [("allocate", "MemoryError"), ("exhausted", "ResourceExhaustedError: OOM when alloc")],
)
def test_memory_that_runs_out_leaves_the_worker_and_its_next_trainer_whole(database, plan, faults, fault, says):
    faults(f"0:{fault}")
    assert work(database, varied(plan, trials=2)) == ExitCode.DONE
    first, second = trials_of(database, plan)
    record = read_outcome(find_study(database, plan.study), 0)
    assert (record.outcome, record.cause, first.state) == (
        Outcome.OUT_OF_MEMORY,
        "process memory",
        TrialState.PRUNED,
    )
    assert record.message.startswith(says)
    assert second.state is TrialState.COMPLETE


def test_a_full_disk_interrupts_the_trial_and_the_worker_and_costs_neither(database, plan, faults):
    faults("1:full:1")
    with pytest.raises(DiskFull, match=r"trial 1 in .*could not be written \(OSError: .*File too large.*make room"):
        work(database, varied(plan, trials=3))
    assert [trial.state for trial in trials_of(database, plan)] == [TrialState.COMPLETE, TrialState.RUNNING]
    assert left_behind(find_study(database, plan.study)) == [1]
    record = read_outcome(find_study(database, plan.study), 1)
    assert (record.outcome, record.cause) == (Outcome.INTERRUPTED, "disk full")
    assert work(database, varied(plan, trials=3)) == ExitCode.DONE  # there is room again
    trials = trials_of(database, plan)
    assert [trial.state.is_finished() for trial in trials] == [True] * 3
    assert "crashes" not in trials[1].user_attrs


def test_a_full_disk_while_a_trainer_is_set_up_is_no_bug(plan, monkeypatch):
    class Full(TrainerLink):
        def poll(self, wait_s):
            return Verdict(outcome=Outcome.INTERRUPTED, cause=DISK_FULL, message="no room for the cache")

    monkeypatch.setattr(warm_trainer, "TrainerLink", Full)
    trainer = WarmTrainer(plan.specification.trainer, plan.setup, log=plan.log_file("trainer"))
    with pytest.raises(DiskFull, match="no room for the cache"):
        trainer.ready(threading.Event())
    trainer.kill()


def test_a_trainer_that_holds_its_interpreter_for_long_starves_no_heartbeat(database, plan, faults, monkeypatch):
    renew, beats = Leases.renew, []
    monkeypatch.setattr(Leases, "renew", lambda leases, lease: beats.append(lease.token) or renew(leases, lease))
    faults("0:busy:1")
    began = time.monotonic()
    assert work(database, varied(plan, trials=1), pace=Pace(lease_s=2.0)) == ExitCode.DONE
    assert time.monotonic() - began > BUSY_S > 2 * 2.0
    assert len(beats) > 4
    assert set(beats) == {1}  # it never changed hands
    assert "crashes" not in trials_of(database, plan)[0].user_attrs


def test_an_error_of_the_database_in_a_heartbeat_costs_nothing(database, plan, monkeypatch, caplog):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.02")
    renew, calls = Leases.renew, []

    def fail_once(leases: Leases, lease):
        calls.append(lease.token)
        if len(calls) == 1:
            raise RuntimeError("an internal error of the database")
        return renew(leases, lease)

    monkeypatch.setattr(Leases, "renew", fail_once)
    assert work(database, varied(plan, trials=1), pace=Pace(lease_s=1.5)) == ExitCode.DONE
    assert "a heartbeat failed" in caplog.text
    assert len(calls) > 2
    assert set(calls) == {1}  # it never changed hands
    assert [trial.state for trial in trials_of(database, plan)] == [TrialState.COMPLETE]


def test_a_hung_trainer_is_killed_and_its_trial_tried_again(database, plan, faults):
    faults("1:hang:1")
    pace = Pace(timeouts=Timeouts(step_floor_s=1.0, first_step_s=1.0))
    assert work(database, varied(plan, trials=3), pace=pace) == ExitCode.DONE
    assert trials_of(database, plan)[1].user_attrs["crashes"] == 1
    assert [trial.state.is_finished() for trial in trials_of(database, plan)] == [True] * 3


def test_an_interrupted_trial_goes_on_where_it_was_and_nothing_else_changes(
    tmp_path, database, plan, until_stopped, monkeypatch
):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.01")
    assert work(database, plan, stop=until_stopped, pace=Pace(lease_s=1.0)) == ExitCode.TRY_LATER
    stopped = trials_of(database, plan)
    assert [trial.state for trial in stopped].count(TrialState.RUNNING) == 1
    running = stopped[-1].number
    record = read_outcome(find_study(database, plan.study), running)
    assert record.outcome == Outcome.INTERRUPTED
    assert 0 < record.images < 1440
    assert left_behind(find_study(database, plan.study)) == [running]
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0")
    assert work(database, plan) == ExitCode.DONE
    with Database.open(f"sqlite:///{tmp_path / 'straight.db'}") as straight:
        assert work(straight, varied(plan, folder=tmp_path / "straight")) == ExitCode.DONE
        expected = [(t.number, t.params, t.intermediate_values, t.state) for t in trials_of(straight, plan)]
    assert [(t.number, t.params, t.intermediate_values, t.state) for t in trials_of(database, plan)] == expected


def test_two_workers_share_one_budget(tmp_path, storage_url, plan, monkeypatch):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.001")
    assert two_at_once(storage_url, lambda own: work(own, plan, pace=Pace(wait_s=0.05))) == [
        ExitCode.DONE,
        ExitCode.DONE,
    ]
    with Database.open(storage_url) as database:
        trials = trials_of(database, plan)
        assert [trial.number for trial in trials] == list(range(12))
        assert all(trial.state.is_finished() for trial in trials)
        assert len(read_outcomes(find_study(database, plan.study))) == 12
        assert len(list((plan.folder / "logs").glob("trainer-*.log"))) == 2


def test_a_dead_workers_trial_is_taken_over_when_its_lease_runs_out(database, plan):
    study = create_optuna_study(database, plan.study)
    study.enqueue_trial(plan.space.reference())
    trial = study.ask()
    Leases(find_study(database, plan.study), duration_s=1.0).claim(trial.number, "a worker that died")
    began = time.monotonic()
    assert work(database, varied(plan, trials=1), pace=Pace(wait_s=0.05)) == ExitCode.DONE
    assert time.monotonic() - began > 0.5
    assert [trial.state for trial in trials_of(database, plan)] == [TrialState.COMPLETE]


def test_a_worker_that_lost_its_trial_drops_it_loudly_and_goes_on(database, plan, monkeypatch, caplog):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.01")
    create_optuna_study(database, plan.study)
    stolen = threading.Event()

    def steal() -> None:
        leases = Leases(find_study(database, plan.study))
        while not stolen.wait(0.02):
            held = leases.held()
            if held and held[0].trial == 1:
                leases.release(held[0])
                leases.claim(1, "a thief")
                stolen.set()

    thief = threading.Thread(target=steal)
    thief.start()
    stop = threading.Event()
    plan = varied(plan, trials=3)
    worker = Worker(find_study(database, plan.study), plan, stop=stop, pace=Pace(lease_s=1.0, wait_s=0.05))
    runner = threading.Thread(target=worker.run)
    runner.start()
    thief.join()
    while not (len(trials := trials_of(database, plan)) == 3 and trials[2].state.is_finished()):
        time.sleep(0.02)
    assert trials[1].state is TrialState.RUNNING  # the thief's, and untouched since
    assert read_outcome(find_study(database, plan.study), 1) is None
    assert "a thief" not in caplog.text
    assert "trial 1 isn't" in caplog.text
    stop.set()
    runner.join()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"optimizer": "adamw"}, "optimizer must be in", id="no such choice"),
        pytest.param({"batch_size": 7}, "batch_size must be in", id="between two choices"),
        pytest.param({"optimizer": "sgd", "lr_per_16": 50.0}, "lr_per_16 must be in", id="above the range"),
        pytest.param({"optimizer": "sgd", "lr_per_16": -1.0}, "but is -1.0", id="negative"),
        pytest.param({"optimizer": "sgd", "lr_per_16": float("nan")}, "but is nan", id="not a number"),
    ],
)
def test_somebodys_trial_outside_of_the_space_ends_and_holds_nobody_up(database, plan, values, message):
    create_optuna_study(database, plan.study).enqueue_trial(values)
    assert work(database, varied(plan, trials=2)) == ExitCode.DONE
    odd, *others = trials_of(database, plan)
    assert (odd.state, len(others)) == (TrialState.FAIL, 2)
    assert all(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in others)
    record = read_outcome(find_study(database, plan.study), 0)
    assert (record.outcome, record.images) == (Outcome.INVALID, 0)
    assert message in record.message
    status = read_status(find_study(database, plan.study))
    assert (status.finished, status.refused, status.deaths) == (2, 1, ())
    shown = all_shown(database, plan)
    assert "1 invalid (enqueued with values outside of the space)" in shown
    assert "; those not trained among them)" in shown


def test_a_recorded_verdict_that_was_not_told_is_told_without_training_again(database, plan):
    study = create_optuna_study(database, plan.study)
    study.enqueue_trial(plan.space.reference())
    trial = study.ask()
    verdict = Verdict(outcome=Outcome.DIVERGED, cause="loss_roi_box", step=3, images=48)
    record_outcome(find_study(database, plan.study), 0, verdict)
    assert trial.number == 0
    assert work(database, varied(plan, trials=1)) == ExitCode.DONE
    told = trials_of(database, plan)[0]
    assert (told.state, told.constraints["diverged"]) == (TrialState.PRUNED, 1.0)
    assert read_outcome(find_study(database, plan.study), 0).cause == "loss_roi_box"


def test_only_the_best_trials_checkpoint_stays(database, plan):
    assert work(database, plan) == ExitCode.DONE
    best = load_optuna_study(database, plan.study).best_trial.number
    assert [path.name for path in (plan.folder / "trials" / plan.study).iterdir()] == [f"{best:05d}"]


def test_a_trainer_that_cannot_be_had_ends_the_worker_and_begins_no_trial(database, plan):
    with pytest.raises(SetupFailed):
        work(database, varied(plan, trainer="quantum"))
    assert trials_of(database, plan) == []


def test_what_every_trial_would_meet_ends_the_worker_and_uses_up_no_trial(database, plan, faults):
    faults("0:weights:1")
    with pytest.raises(SetupFailed, match="name other weights") as caught:
        work(database, plan)
    assert exit_code_of(caught.value) == ExitCode.USER_MUST_ACT
    assert [trial.state for trial in trials_of(database, plan)] == [TrialState.RUNNING]
    told = read_outcome(find_study(database, plan.study), 0)
    assert (told.outcome, told.cause) == (Outcome.INTERRUPTED, "backbone")

    assert work(database, plan) == ExitCode.DONE  # mended: the same trial goes on
    assert read_outcome(find_study(database, plan.study), 0).outcome == Outcome.COMPLETE


def test_a_trainer_that_something_kills_while_it_is_set_up_is_replaced(plan, monkeypatch, caplog):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0")
    trainer = WarmTrainer(plan.specification.trainer, plan.setup, log=plan.log_file("trainer"))
    killed = []

    def kill() -> None:
        while trainer._link is None:
            time.sleep(0.001)
        killed.append(trainer._link.pid)
        os.kill(trainer._link.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    link = trainer.ready(threading.Event())
    killer.join()
    assert link is not None
    assert link.alive
    assert link.pid not in killed
    assert "another is started" in caplog.text
    trainer.close()


def test_no_two_workers_are_called_alike():
    """Not even in containers that all have one host name and begin with process 1."""
    assert len({worker_name() for _ in range(1000)}) == 1000


def test_a_finished_study_starts_no_trainer(database, plan):
    work(database, varied(plan, trials=2))
    for log in (plan.folder / "logs").iterdir():
        log.unlink()
    assert work(database, varied(plan, trials=2)) == ExitCode.DONE
    assert list((plan.folder / "logs").iterdir()) == []


def test_trial_1_tries_what_was_derived_from_the_data_and_the_sampler_proposes_the_rest(database, plan):
    derived = {"anchor_base": 3.0, "anchor_scales": 2, "anchor_octave_span": 0.75, "anchor_ratios": 1}
    plan = varied(plan, derived=derived)
    for trials in (1, 3):  # in two launches: what a first one did not come to, the next one does
        assert work(database, varied(plan, trials=trials)) == ExitCode.DONE
    reference, second, third = (trial.params for trial in trials_of(database, plan))
    assert reference == plan.space.reference()
    dropped = {"anchor_ratio_spread"}  # of a single ratio
    assert second == {name: v for name, v in reference.items() if name not in dropped} | derived
    assert third["lr_per_16"] != reference["lr_per_16"]


def test_data_that_suggests_the_reference_itself_does_not_cost_a_second_trial(plan):
    assert len(varied(plan, derived={"anchor_base": 8.0}).first_points) == 1
    assert len(varied(plan, derived={}).first_points) == 1
