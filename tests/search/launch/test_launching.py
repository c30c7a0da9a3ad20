import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from optuna.trial import TrialState
from rich.console import Console

from detector.config import ConfigError
from detector.data.sample_data import write_sample
from search.engines.handle import WorkerExit
from search.launch.compatibility import agree
from search.launch.launching import launch, only_create
from search.launch.settled import settle
from search.plan import Plan
from search.report.status import Status, read_status
from search.study.policy_section import Pruner
from search.study.specification import Specification, specification_from, specification_from_json, specification_to_json
from search.terminal import PlainConsole
from spaces.parameters import Fixed
from storage.connection.database import Database
from storage.outcomes import read_outcomes
from storage.study import create_study, find_study, read_specification, save_specification, study_names
from storage.workers import read_workers
from tests.support.studies import load_optuna_study
from trial.outcome import Outcome

PROGRAM = """
import json, sys
from pathlib import Path
from search.launch import launching
from search.study.specification import specification_from_json
launching.TICK_S = 0.1
document = json.loads(sys.argv[1])
storage = document.pop("storage")
specification = specification_from_json(document, storage=storage)
sys.exit(launching.launch(specification, folder=Path(sys.argv[2]), options=("--lease-s", "2")))
"""


@pytest.fixture
def specification(tmp_path) -> Specification:
    document = {
        "name": "analytic",
        "storage": f"sqlite:///{tmp_path / 'study.db'}",
        "trainer": "analytic",
        "data": {"train": {"images": str(tmp_path), "annotations": str(tmp_path / "train.json")}},
        "detector": {"canvas": "128x128"},
        "budget": {"trials": 8, "images": 1440},
        "sampler": {"seed": 7, "most_divergence_risk": 1},  # every proposal is a trial
        "pruner": {"name": "halving"},
    }
    return specification_from(document, "this test")


@pytest.fixture
def console() -> Console:
    return PlainConsole(file=io.StringIO(), width=400)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def trials_of(specification: Specification):
    with Database.open(specification.storage) as database:
        return load_optuna_study(database, specification.name).get_trials(deepcopy=False)


def start(specification: Specification, folder: Path, **environment: str) -> subprocess.Popen:
    document = json.dumps({**specification_to_json(specification), "storage": specification.storage})
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, document, str(folder)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until(holds: Callable[[Database], bool], specification: Specification, process: subprocess.Popen) -> None:
    """Look at the database until the study is there and `holds`; the launch must not end before."""
    with Database.open(specification.storage) as database:
        for _ in range(1200):
            if specification.name in study_names(database) and holds(database):
                return
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.05)
    pytest.fail("a minute has passed")


def wait_for_figures(specification: Specification, process: subprocess.Popen, trial: int) -> None:
    """Until a worker shows that this trial trains."""

    def trains(database: Database) -> bool:
        return any(w.trial == trial and w.images_per_s for w in read_workers(find_study(database, specification.name)))

    wait_until(trains, specification, process)


def test_a_launch_runs_the_study_to_its_end_and_prints_the_ranking(specification, tmp_path, console):
    assert launch(specification, folder=tmp_path, console=console) == 0
    shown = text_of(console)
    assert "study analytic" in shown
    assert "rungs at 160, 480, 1440 images" in shown
    assert len(re.findall(r"trial \d+ (?:complete|outranked|diverged|not learning)", shown)) == 8
    assert "[8/8]" in shown
    assert "rank" in shown
    assert all(trial.state.is_finished() for trial in trials_of(specification))
    assert len(trials_of(specification)) == 8


def test_trials_that_pause_are_told_once_and_the_best_is_trained_in_full(specification, tmp_path, console):
    pausing = replace(specification, pruner=Pruner())
    assert launch(pausing, folder=tmp_path, console=console) == 0
    shown = text_of(console)
    assert "begins: 8 trials; rungs at 115, 360, 1440 images" in shown
    told = re.findall(r"trial (\d+) (paused|outranked|complete|diverged|not learning)", shown)
    assert {int(number) for number, _ in told} == {*range(8)}
    paused = {number for number, outcome in told if outcome == "paused"}
    assert not any(number in paused and outcome == "outranked" for number, outcome in told)  # that was told
    assert re.search(r"\[\d/8\] trial \d+ complete: AP", shown)
    assert read_status_of(pausing).outcomes.keys() <= {"complete", "outranked", "diverged", "not learning"}


def read_status_of(specification: Specification) -> Status:
    with Database.open(specification.storage) as database:
        return read_status(find_study(database, specification.name))


def test_a_second_launch_of_a_finished_study_only_shows_it(specification, tmp_path, console):
    launch(specification, folder=tmp_path, console=console)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "logs").iterdir()}
    assert launch(specification, folder=tmp_path, console=console) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "logs").iterdir()} == before
    assert "goes on with 8 of 8 trials" in text_of(console)


def test_more_trials_and_workers_are_welcome(specification, tmp_path, console):
    launch(specification, folder=tmp_path, console=console)
    more = replace(specification, budget=replace(specification.budget, trials=11), workers=2)
    assert launch(more, folder=tmp_path, console=console) == 0
    assert [trial.number for trial in trials_of(specification)] == list(range(11))
    with Database.open(specification.storage) as database:
        assert read_specification(find_study(database, "analytic"))["budget"]["trials"] == 11


def test_another_space_or_budget_is_refused_with_the_difference(specification, tmp_path, console):
    launch(specification, folder=tmp_path, console=console)
    other = replace(specification, budget=replace(specification.budget, images=2880))
    with pytest.raises(ConfigError, match=r"budget\.images: 1440 was stored, 2880 is wanted"):
        launch(other, folder=tmp_path, console=console)
    with pytest.raises(ConfigError, match=r"sampler\.seed: 7 was stored, 8 is wanted"):
        launch(replace(specification, sampler=replace(specification.sampler, seed=8)), folder=tmp_path, console=console)
    narrower = specification.space.replaced({"optimizer": Fixed(value="sgd")})
    with pytest.raises(ConfigError, match=r"space\.optimizer: .* was stored, sgd is wanted"):
        launch(replace(specification, space=narrower), folder=tmp_path, console=console)
    assert len(trials_of(specification)) == 8


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_stops_cleanly_and_a_second_launch_goes_on(specification, tmp_path, number):
    first = start(specification, tmp_path, FRCNN_ANALYTIC_STEP_S="0.01")
    wait_for_figures(specification, first, trial=1)
    family = psutil.Process(first.pid).children(recursive=True)
    assert len(family) == 2  # a worker and its trainer
    began = time.monotonic()
    first.send_signal(number)
    output, _ = first.communicate(timeout=30)
    assert first.returncode == 75, output
    assert time.monotonic() - began < 10
    assert "The same command goes on" in output
    assert psutil.wait_procs(family, timeout=5)[1] == []
    stopped = trials_of(specification)
    assert [trial.state for trial in stopped].count(TrialState.RUNNING) == 1
    with Database.open(specification.storage) as database:
        assert [r.outcome for r in read_outcomes(find_study(database, "analytic"))][-1] == Outcome.INTERRUPTED

    second = start(specification, tmp_path)
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 0, output
    trials = trials_of(specification)
    assert [trial.number for trial in trials] == list(range(8))
    assert all(trial.state.is_finished() for trial in trials)
    assert [t.params for t in trials[: len(stopped)]] == [t.params for t in stopped]
    assert any("goes on after" in log.read_text() for log in (tmp_path / "logs").glob("worker-*.log"))


def test_a_second_signal_ends_at_once_and_nothing_is_lost(specification, tmp_path):
    first = start(specification, tmp_path, FRCNN_ANALYTIC_FAULTS="0:hang:1")  # so that it cannot pause
    while not (tmp_path / "trials" / "analytic" / "00000" / "faults").exists():
        assert first.poll() is None
        time.sleep(0.05)
    family = psutil.Process(first.pid).children(recursive=True)
    first.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert first.poll() is None
    began = time.monotonic()
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    assert first.returncode == 75
    assert time.monotonic() - began < 4
    assert psutil.wait_procs(family, timeout=5)[1] == []
    second = start(specification, tmp_path)
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 0, output
    assert [trial.number for trial in trials_of(specification)] == list(range(8))


def test_killed_workers_and_trainers_lose_no_trial(specification, tmp_path):
    """kill -9 on a trainer, then on the worker; the launch tells, starts another worker and goes on."""
    first = start(specification, tmp_path, FRCNN_ANALYTIC_STEP_S="0.01")
    wait_for_figures(specification, first, trial=1)
    worker = next(p for p in psutil.Process(first.pid).children() if "--launched" in p.cmdline())
    trainer = worker.children()[0]
    trainer.kill()
    wait_for_figures(specification, first, trial=1)
    worker.kill()
    output, _ = first.communicate(timeout=90)
    assert first.returncode == 0, output
    assert "worker 1 was lost: its process was ended by SIGKILL; it is started again\n" in output
    trials = trials_of(specification)
    assert [trial.number for trial in trials] == list(range(8))
    assert all(trial.state.is_finished() for trial in trials)
    assert any(trial.user_attrs.get("crashes") == 1 for trial in trials)


class Failing:
    """An executor whose workers end at once, with a bug."""

    on_this_machine = True

    @contextmanager
    def open(self, job, workers, say):
        yield lambda number: SimpleNamespace(
            poll=lambda: WorkerExit(code=1), stop=lambda: None, interrupt=lambda: None, kill=lambda: None
        )


def test_workers_that_failed_leave_the_study_open_and_the_launch_says_where_their_logs_are(
    specification, tmp_path, console
):
    assert launch(specification, folder=tmp_path, console=console, executor=Failing()) == 1
    shown = text_of(console)
    assert f"the workers failed; 0 of 8 trials are finished. Their logs are in {tmp_path / 'logs'}" in shown
    assert launch(specification, folder=tmp_path, console=console) == 0
    assert [trial.number for trial in trials_of(specification)] == list(range(8))


def test_a_password_in_the_storage_url_reaches_no_command_line(specification, tmp_path, monkeypatch):
    monkeypatch.setenv("CANARY_STORAGE", specification.storage)
    hidden = replace(specification, storage="env:CANARY_STORAGE")
    process = start(hidden, tmp_path, FRCNN_ANALYTIC_STEP_S="0.01")
    wait_until(lambda database: bool(load_optuna_study(database, "analytic").trials), hidden, process)
    family = psutil.Process(process.pid).children(recursive=True)
    lines = [" ".join(member.cmdline()) for member in family]
    trainers = [member for member, line in zip(family, lines, strict=True) if "search.trainer.process" in line]
    process.send_signal(signal.SIGTERM)
    environments = [Path(f"/proc/{member.pid}/environ") for member in trainers]
    assert all("study.db" not in line for line in lines)
    assert all(b"study.db" not in path.read_bytes() for path in environments if path.exists())
    process.communicate(timeout=30)
    assert process.returncode == 75


def test_canvas_budget_and_split_come_from_the_data_before_any_trial(tmp_path, console):
    folder = tmp_path / "sample"
    write_sample(folder, train=20, validation=8)
    document = {"name": "sample", "storage": f"sqlite:///{tmp_path / 'study.db'}", "data": {"folder": str(folder)}}
    result = settle(specification_from(document, "this test"), console, folder=tmp_path)
    settled, fingerprint = result.specification, result.data
    assert settled.detector.canvas is not None
    assert settled.budget.images is not None
    assert len(fingerprint) == 64
    assert "training images" in text_of(console)
    (folder / "annotations").mkdir(exist_ok=True)
    for file in folder.rglob("*.json"):
        file.write_text(file.read_text().replace('"bbox": [', '"bbox": [1e9, ', 1))
    with pytest.raises(ConfigError):
        settle(settled, console, folder=tmp_path)


def test_only_create_leaves_the_work_to_workers_elsewhere(specification, tmp_path, console):
    for _ in range(2):  # the second agrees with the first
        assert only_create(specification, folder=tmp_path, console=console) == 0
    assert trials_of(specification) == []
    assert not (tmp_path / "logs").exists()
    shown = text_of(console)
    assert f"workers join it with: frcnn-search worker --storage {specification.storage} --study analytic" in shown


def sample_document(tmp_path, **sections):
    folder = tmp_path / "sample"
    write_sample(folder, train=20, validation=8)
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    return {"name": "sample", "storage": storage, "data": {"folder": str(folder)}, **sections}


NARROW = {"anchor_scales": 1, "anchor_ratios": 1}


def test_trial_1_gets_anchors_derived_from_the_boxes_before_any_trial(tmp_path, console):
    settled = settle(
        specification_from(sample_document(tmp_path, space=NARROW), "this test"), console, folder=tmp_path
    ).specification
    start = {"optimizer": "adam", "batch_size": 4, "adam_lr_per_16": 0.001}
    assert start.items() <= settled.derived.items()
    assert set(settled.derived) - set(start) == {"anchor_base", "anchor_ratio_centre"}
    first, second = Plan.of(settled, tmp_path).first_points
    assert first["anchor_base"] == 8.0
    assert settled.derived.items() <= second.items()
    assert second == {key: value for key, value in (first | second).items() if key != "lr_per_16"}
    assert "trial 1 tries anchors derived from the boxes: 1 a cell" in text_of(console)
    how = "with optimizer adam, batch_size 4, adam_lr_per_16 0.001, because its weights begin at random"
    assert how in text_of(console)
    assert settle(settled, console, folder=tmp_path).specification == settled  # the workers' and every later launch's


@pytest.mark.parametrize(
    ("sections", "derived"),
    [
        pytest.param({"derived": "none"}, {}, id="the user wants none"),
        pytest.param({"derived": {"anchor_base": 4.0}}, {"anchor_base": 4.0}, id="the user knows better"),
        pytest.param({"budget": {"trials": 1}}, None, id="there is no trial 1"),
        pytest.param({"space": {"anchors": {"sizes_px": [32], "ratios": [1]}}}, None, id="the anchors are given"),
    ],
)
def test_nothing_is_derived_where_the_user_decided(tmp_path, console, sections, derived):
    document = sample_document(tmp_path, **({"space": NARROW} | sections))
    settled = settle(specification_from(document, "this test"), console, folder=tmp_path).specification
    assert settled.derived == derived


def test_what_was_derived_once_stays_although_another_machine_rounds_otherwise(tmp_path, console):
    settled = settle(
        specification_from(sample_document(tmp_path, space=NARROW), "this test"), console, folder=tmp_path
    ).specification
    other = replace(settled, derived={**settled.derived, "anchor_base": settled.derived["anchor_base"] + 1e-12})
    with Database.open(settled.storage) as database:
        study = create_study(database, settled.name)
        agree(study, settled)
        agree(study, other, kept=("derived",))
        stored = read_specification(study)
        with pytest.raises(ConfigError, match="derived"):
            agree(study, other)  # where a user wrote it, it is a change like any other
    assert specification_from_json(stored, storage=settled.storage) == settled


def test_a_study_from_before_a_setting_existed_goes_on_with_its_default(specification, tmp_path, console):
    agreed = replace(specification, budget=replace(specification.budget, trials=2))
    with Database.open(specification.storage) as database:
        study = create_study(database, specification.name)
        document = specification_to_json(agreed)
        del document["sampler"]["least_anchor_fit"]
        save_specification(study, document)
        agree(study, agreed)
        fewer = replace(agreed, sampler=replace(agreed.sampler, least_anchor_fit=0.3))
        agree(study, fewer)  # this one may change
        assert read_specification(study)["sampler"]["least_anchor_fit"] == 0.3


def test_a_launch_keeps_a_sample_of_the_boxes_unless_there_is_nothing_to_choose(tmp_path, console):
    screen = settle(
        specification_from(sample_document(tmp_path, space=NARROW), "this test"), console, folder=tmp_path
    ).screen
    assert screen is not None
    annotations = json.loads((tmp_path / "sample" / "train.json").read_text())["annotations"]
    assert len(screen.boxes) == len(annotations)  # no more than the most that are kept
    assert screen.reachable > 0.8
    fixed = {**NARROW, "anchor_base": 4, "anchor_ratio_centre": 1}
    assert (
        settle(specification_from(sample_document(tmp_path, space=fixed), "this test"), console, folder=tmp_path).screen
        is None
    )
