"""A small study made by hand, as workers leave it behind, for everything that only reads studies."""

import io
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from rich.console import Console

from detector.data.sample_data import write_sample
from search.command_line import main
from search.faults import history
from search.launch.progress import Progress
from search.launch.snapshot import read_snapshot
from search.plan import Plan
from search.report.ranking import ranking, ranking_table
from search.report.status import read_status
from search.report.status_table import status_table
from search.study.specification import Specification, specification_from, specification_to_json
from search.study.study_file import load_study_file
from storage.connection.database import Database
from storage.outcomes import record_outcome
from storage.study import StoredStudy, find_study, save_specification
from storage.study_view import StudyView
from storage.telemetry import append_telemetry, record_rung
from storage.workers import seen
from tests.support.command_run import Run
from tests.support.studies import create_optuna_study, load_optuna_study
from trial.outcome import Outcome
from trial.reports import RungReport, TelemetryPoint
from trial.verdict import Verdict

STUDY = "blood cells"

#: trial → (learning rate, batch size, {images: AP}, how it ended). Trial 5 still runs, trial 6 waits.
TRIALS: dict[int, tuple[float, int, dict[int, float], Outcome | None]] = {
    0: (0.02, 16, {80: 0.10, 160: 0.20, 320: 0.30}, Outcome.COMPLETE),
    1: (0.01, 16, {80: 0.35}, Outcome.OUTRANKED),  # the best AP at the first rung
    2: (0.09, 4, {}, Outcome.DIVERGED),
    3: (0.04, 12, {84: 0.11, 168: 0.25, 324: 0.42}, Outcome.COMPLETE),  # rungs rounded up to batches of 12
    4: (0.03, 8, {80: 0.50}, Outcome.CRASHED),
    5: (0.05, 8, {80: 0.05}, None),
}
ENDS = {
    Outcome.COMPLETE: ("", "trained its whole budget", 20),
    Outcome.OUTRANKED: ("rung 1 of 3", "worse than its peers", 5),
    Outcome.DIVERGED: ("loss_rpn_box", "loss_rpn_box became infinite at step 7", 7),
    Outcome.CRASHED: ("killed (SIGKILL)", "the trainer was killed", 10),
}


def end_trial(study: StoredStudy, trial: int, outcome: Outcome, *, images: int) -> None:
    """End a trial as a worker does: record, mark, tell."""
    cause, message, step = ENDS[outcome]
    evidence: dict[str, float | str] = {"loss_rpn_box": float("inf")} if outcome is Outcome.DIVERGED else {}
    verdict = Verdict(outcome=outcome, cause=cause, message=message, step=step, images=images, evidence=evidence)
    record_outcome(study, trial, verdict)
    StudyView(study).end(trial, outcome)


STUDY_TEXT = """
name: blood cells
storage: sqlite:///study.db
data: {folder: FOLDER}
detector: {canvas: 96x128}
space: {lr_per_16: {low: 1.0e-4, high: 0.1}, batch_size: [4, 8, 12, 16], optimizer: sgd}
budget: {trials: 40, images: 320, rungs: [80, 160, 320]}
pruner: {name: halving}
"""


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Runs the entry point in this process, in an own folder; an exception that escapes it fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def go(*arguments: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["frcnn-search", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        code = left.value.code
        return Run(code=code if isinstance(code, int) else 0, out=captured.out, err=captured.err)

    return go


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample dataset of 6 and 3 images. Not to be changed."""
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, train=6, validation=3)
    return folder


def write_study_file(folder: Path, sample: Path) -> Path:
    file = folder / "study.yaml"
    file.write_text(STUDY_TEXT.replace("FOLDER", str(sample)), encoding="utf-8")
    return file


@pytest.fixture
def study_file(tmp_path: Path, sample: Path) -> Path:
    """The study file of `study`, beside its database."""
    return write_study_file(tmp_path, sample)


@pytest.fixture
def storage_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture(scope="session")
def no_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables alone, which are copied in a tenth of the time that they are made in."""
    path = tmp_path_factory.mktemp("none") / "study.db"
    Database.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def database(storage_url: str, no_study: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(no_study, tmp_path / "study.db")
    with Database.open(storage_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def whole_study(tmp_path_factory: pytest.TempPathFactory, no_study: Path, sample: Path) -> Path:
    """The database of `study`, but for its worker, whose sign of life must be a fresh one."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copy(no_study, folder / "study.db")
    with Database.open(f"sqlite:///{folder / 'study.db'}") as database:
        _make_study(database, load_study_file(write_study_file(folder, sample)))
    return folder / "study.db"


@pytest.fixture
def study(database: Database, whole_study: Path, study_file: Path) -> optuna.Study:
    """Seven trials: two complete, one outranked, one diverged, one crashed, one running, one waiting."""
    copy = study_file.with_name("study.db")
    with closing(sqlite3.connect(whole_study)) as made, closing(sqlite3.connect(copy)) as own:
        made.backup(own)
    seen(find_study(database, STUDY), "w1", host="node-a", pid=1, device="CPU", trial=5, images=80, images_per_s=7.25)
    return load_optuna_study(database, STUDY, sampler=optuna.samplers.RandomSampler(seed=0))


def _make_study(database: Database, specification: Specification) -> None:
    made = create_optuna_study(database, STUDY, sampler=optuna.samplers.RandomSampler(seed=0))
    stored = find_study(database, STUDY)
    save_specification(find_study(database, STUDY), specification_to_json(specification))
    reference = specification.space.reference()
    for number, (learning_rate, batch_size, rungs, outcome) in TRIALS.items():
        made.enqueue_trial({**reference, "lr_per_16": learning_rate, "batch_size": batch_size})
        trial = made.ask()
        assert trial.number == number
        specification.space.suggest(trial)
        for images, ap in rungs.items():
            _reach_rung(database, trial, images, ap)
        if outcome is Outcome.DIVERGED:
            figures = {"loss": float("inf"), "learning_rate": 0.0225}  # 0.09 × 4 / 16
            append_telemetry(find_study(database, STUDY), number, [TelemetryPoint(step=7, images=28, figures=figures)])
        if outcome is not None:
            end_trial(stored, number, outcome, images=320 if rungs else 28)
    made.enqueue_trial({**reference, "lr_per_16": 0.07, "batch_size": 8})


def _reach_rung(database: Database, trial: optuna.Trial, images: int, ap: float) -> None:
    record_rung(
        find_study(database, STUDY),
        trial.number,
        RungReport(images=images, step=images, ap=ap, metrics={"ap": ap}, training_s=1.0, evaluation_s=0.5),
    )
    trial.report(ap, step=images)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A study of 12 analytic trials (search/trainer/analytic.py) with rungs at 160, 480 and 1440 images."""
    return analytic_plan(tmp_path)


def analytic_plan(folder: Path) -> Plan:
    """The plan of the fixture, in a folder."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    document = {
        "name": "analytic",
        "storage": "sqlite:///study.db",
        "trainer": "analytic",
        "data": {"train": {"images": str(folder / "images"), "annotations": str(folder / "train.json")}},
        "detector": {"canvas": "128x128", "micro_batch": 4},
        "derived": "none",
        "budget": {"trials": 12, "images": 1440, "rungs": [160, 480, 1440]},
        "sampler": {"name": "tpe", "seed": 7, "most_divergence_risk": 1.0},  # every proposal is a trial
        "pruner": {"name": "halving"},
    }
    return Plan.of(specification_from(document, "the fixture"), folder)


@pytest.fixture
def records(tmp_path: Path, monkeypatch) -> Path:
    """Where every process notes what it did."""
    folder = tmp_path / "history"
    folder.mkdir()
    monkeypatch.setenv(history.VARIABLE, str(folder))
    return folder


def all_shown(database: Database, plan: Plan) -> str:
    """What `status`, `ranking` and the progress of a launch show of a study, one after the other."""
    console = Console(file=io.StringIO(), width=200)
    console.print(status_table(read_status(find_study(database, plan.study))))
    console.print(ranking_table(ranking(find_study(database, plan.study))))
    snapshot = read_snapshot(find_study(database, plan.study), trials=plan.specification.trials)
    shown = Progress(console, rungs=plan.rungs)
    shown.update(replace(snapshot, outcomes=()))  # or everything would be old news
    shown.update(snapshot)
    return console.file.getvalue()
