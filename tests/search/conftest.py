"""A small study made by hand, as workers leave it behind, for everything that only reads studies."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from rich.console import Console

from detector.config import Canvas, DataFormat, DataSource, Detector
from detector.data.sample_data import write_sample
from detector.setup import Setup
from search.launch.progress import Progress, read_snapshot
from search.plan import Plan
from search.report.ranking import ranking, ranking_table
from search.report.status import read_status
from search.report.status_table import status_table
from search.study.specification import specification_to_json
from search.study.study_file import load_study_file
from spaces.faster_rcnn import Space
from storage.connection.database import Database
from storage.outcomes import mark_infeasible, record_outcome
from storage.records import OutcomeRecord, RungRecord
from storage.study import find_study, save_specification
from storage.telemetry import append_telemetry, record_rung
from storage.workers import seen
from tests.support.studies import create_optuna_study
from trial.outcome import INFEASIBLE, Outcome
from trial.reports import TelemetryPoint

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


def end_trial(database: Database, study: optuna.Study, trial: optuna.Trial, ap: float | None, outcome: Outcome) -> None:
    """End a trial as a worker does: record, mark, tell."""
    cause, message, step = ENDS[outcome]
    record = OutcomeRecord(
        trial=trial.number,
        outcome=outcome,
        cause=cause,
        message=message,
        step=step,
        images=28 if ap is None else 320,
        evidence={"loss_rpn_box": float("inf")} if outcome is Outcome.DIVERGED else {},
    )
    record_outcome(find_study(database, study.study_name), record.trial, record)
    if outcome in INFEASIBLE:
        mark_infeasible(database, study, trial, outcome)
    states = {Outcome.COMPLETE: TrialState.COMPLETE, Outcome.CRASHED: TrialState.FAIL}
    state = states.get(outcome, TrialState.PRUNED)
    study.tell(trial, ap if state is TrialState.COMPLETE else None, state=state)


STUDY_TEXT = """
name: blood cells
storage: sqlite:///study.db
data: {folder: FOLDER}
detector: {canvas: 96x128}
space: {lr_per_16: {low: 1.0e-4, high: 0.1}, batch_size: [4, 8, 12, 16], optimizer: sgd}
budget: {trials: 40, images: 320, rungs: [80, 160, 320]}
"""


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample dataset of 6 and 3 images. Not to be changed."""
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, train=6, validation=3)
    return folder


@pytest.fixture
def study_file(tmp_path: Path, sample: Path) -> Path:
    """The study file of `study`, beside its database."""
    file = tmp_path / "study.yaml"
    file.write_text(STUDY_TEXT.replace("FOLDER", str(sample)), encoding="utf-8")
    return file


@pytest.fixture
def storage_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def database(storage_url: str) -> Iterator[Database]:
    with Database.open(storage_url) as opened:
        yield opened


@pytest.fixture
def study(database: Database, study_file: Path) -> optuna.Study:
    """Seven trials: two complete, one slow, one diverged, one crashed, one running, one waiting."""
    specification = load_study_file(study_file)
    made = create_optuna_study(database, STUDY, sampler=optuna.samplers.RandomSampler(seed=0))
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
            end_trial(database, made, trial, list(rungs.values())[-1] if rungs else None, outcome)
    made.enqueue_trial({**reference, "lr_per_16": 0.07, "batch_size": 8})
    seen(find_study(database, STUDY), "w1", host="node-a", pid=1, device="CPU", trial=5, images=80, images_per_s=7.25)
    return made


def _reach_rung(database: Database, trial: optuna.Trial, images: int, ap: float) -> None:
    record_rung(
        find_study(database, STUDY),
        RungRecord(
            trial=trial.number, images=images, step=images, ap=ap, metrics={"ap": ap}, training_s=1.0, evaluation_s=0.5
        ),
    )
    trial.report(ap, step=images)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A study of 12 analytic trials (search/trainer/analytic.py) with rungs at 160, 480 and 1440 images."""
    return analytic_plan(tmp_path)


def analytic_plan(folder: Path) -> Plan:
    """The plan of the fixture, in a folder."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    source = DataSource(format=DataFormat.COCO, images=folder / "images", annotations=folder / "train.json")
    setup = Setup(
        train=source,
        validation=None,
        validation_share=0.2,
        detector=Detector(canvas=Canvas(height_px=128, width_px=128)),
        anchors_per_cell=15,
        micro_batch=4,
        validation_images=None,
        cache=folder / "cache",
        seed=0,
    )
    return Plan(
        study="analytic",
        folder=folder,
        trainer="analytic",
        setup=setup,
        space=Space.default(),
        trials=12,
        rungs=(160, 480, 1440),
        seed=7,
        most_divergence_risk=1.0,  # every proposal is a trial
    )


def all_shown(database: Database, plan: Plan) -> str:
    """What `status`, `ranking` and the progress of a launch show of a study, one after the other."""
    console = Console(file=io.StringIO(), width=200)
    console.print(status_table(read_status(find_study(database, plan.study))))
    console.print(ranking_table(ranking(find_study(database, plan.study))))
    snapshot = read_snapshot(find_study(database, plan.study), trials=plan.trials)
    shown = Progress(console, rungs=plan.rungs)
    shown.update(replace(snapshot, outcomes=()))  # or everything would be old news
    shown.update(snapshot)
    return console.file.getvalue()
