"""Every command on data whose folders, files and classes hold brackets, terminal escapes and control characters."""

import json
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import optuna
import pytest

from detector.data.sample_data import write_sample
from search.command_line import app, main
from search.export.metrics_table import metrics_table
from search.launch.launching import launch
from search.launch.progress import Progress
from search.launch.snapshot import Snapshot
from search.plan import Plan
from search.study.study_file import load_study_file
from search.terminal import PlainConsole
from storage.connection.database import Database
from storage.outcomes import record_outcome
from storage.records import OutcomeRecord
from storage.study import find_study
from storage.study_view import StudyView
from storage.telemetry import append_telemetry
from storage.workers import seen
from tests.support.studies import varied
from trial.outcome import Outcome
from trial.reports import TelemetryPoint
from trial.verdict import Verdict

FOLDER = "exp[final] [bold]\x1b[31m\x9b2J"
CLASSES = {"disc": "car [parked]", "square": "[/]", "triangle": "\x1b]0;owned\x07 \x9b1m \x7f"}
IMAGE = "train [red]\x1b[2J\x9b.png"
MESSAGE = "[/red] \x1b[31m [link=x]"
RAW = ("\x1b", "\x9b", "\x07", "\x7f", "\udcff")

#: What each command of the walk is called with; a test holds it complete.
CALLS: dict[str, list[list[str]]] = {
    "sample-data": [["FOLDER/new"], ["FOLDER"]],  # the second is not empty
    "doctor": [["FILE"], ["FILE", "--json"], ["FILE", "--pictures", "FOLDER/pictures"], ["--data", "FOLDER/broken"],
               ["FILE", "--write-space"], ["FOLDER"], ["FOLDER/none.yaml"]],
    "convert": [["--data", "FOLDER/data", "--to", to, "--output", f"FOLDER/{to}"] for to in ("coco", "voc", "yolo")]
    + [["--data", "FOLDER/broken", "--to", "voc", "--output", "FOLDER/new2"],
       ["--data", "FOLDER/data", "--to", MESSAGE, "--output", "FOLDER/new3"],
       ["--data", "FOLDER/data", "--to", "coco", "--output", "FOLDER"]],
    "launch": [["FILE", "--only-create"], ["FOLDER/none.yaml"], ["FOLDER/new.yaml", "--data", "FOLDER/broken"],
               ["FOLDER/other.yaml", "--data", "FOLDER/data", "--only-create"]],
    "status": [["FILE"], ["FILE", "--ranking"], ["FILE", "--json"], ["FOLDER/none.yaml"]],
    "explain": [["FILE"], ["FILE", "--json"], ["FILE", "0"], ["FILE", "0", "--json"],
                ["FILE", "0", "--html", "FOLDER/page.html"]],
    "export": [["FILE", "--output", "FOLDER/best.yaml"], ["FILE", "--output", "FOLDER/none/best.yaml"],
               ["FILE", "--format", "all", "--output", "FOLDER/all"],
               ["FILE", "--format", "tf-od", "--output", "FOLDER/\udcff.config"],
               ["FILE", "--format", MESSAGE, "--output", "FOLDER/best.yaml"]],
    "train": [["FOLDER/none.yaml"], ["FOLDER/best.yaml", "--data", "FOLDER/broken"]],
    "evaluate": [["FOLDER/none.safetensors", "--data", "FOLDER/data"], ["FILE", "--data", "FOLDER/data"]],
    "predict": [["FOLDER/none.safetensors", "FOLDER/data/images", "--output", "FOLDER/found"],
                ["FILE", "FOLDER/data/images", "--output", "FOLDER/found"],
                ["FOLDER/none.safetensors", "FOLDER", "--output", "FOLDER/found"]],
    "worker": [["--storage", "sqlite:///FOLDER/none.db", "--study", MESSAGE],
               ["--storage", "sqlite:///FOLDER/study.db", "--study", MESSAGE],
               ["--storage", "file:FOLDER/none", "--study", MESSAGE],
               ["--storage", "sqlite:///FOLDER/\udcff.db", "--study", MESSAGE]],
    "dashboard": [["FOLDER/none.yaml"], ["FILE", "--password-file", "FOLDER/none"]],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sample data with hostile names and a study file on it, `broken` data that lacks an image, and a study in which
    a trial has failed."""
    folder = tmp_path / FOLDER
    write_sample(folder / "data", train=6, validation=4)
    rename(folder / "data")
    write_sample(folder / "broken", train=6, validation=4)
    rename(folder / "broken")
    (folder / "broken" / "images" / IMAGE).unlink()
    file = folder / "study.yaml"
    sections = "detector: {canvas: 96x128}\nspace: {batch_size: [4, 8]}\nbudget: {trials: 3, images: 40, rungs: 1}\n"
    file.write_text(f"name: cells\ndata: {{folder: data}}\nderived: none\n{sections}", encoding="utf-8")
    return folder


def rename(data: Path) -> None:
    """Give the sample's classes, and its first image, names of an attacker's choice."""
    (data / "images" / "train_0000.png").rename(data / "images" / IMAGE)
    for split in ("train", "val"):
        document = json.loads((data / f"{split}.json").read_text())
        for category in document["categories"]:
            category["name"] = CLASSES[category["name"]]
        for image in document["images"]:
            image["file_name"] = image["file_name"].replace("train_0000.png", IMAGE)
        (data / f"{split}.json").write_text(json.dumps(document))


def fill(folder: Path) -> None:
    """A trial that has ended, a failed one and a worker, all with words of an attacker's choice."""
    specification = load_study_file(folder / "study.yaml")
    with Database.open(specification.storage) as database:
        stored = find_study(database, specification.name)
        made = optuna.load_study(study_name=specification.name, storage=database.optuna)
        for number, outcome in enumerate((Outcome.DIVERGED, Outcome.COMPLETE)):
            trial = made.ask()
            specification.space.suggest(trial)
            point = TelemetryPoint(step=3, images=12, figures={"loss": 9.0, MESSAGE: 1.0})
            append_telemetry(stored, number, [point])
            if outcome is Outcome.COMPLETE:
                trial.report(0.5, step=40)
            verdict = Verdict(
                outcome=outcome, cause=MESSAGE, message=MESSAGE, step=3, images=12, evidence={"x": MESSAGE}
            )
            record_outcome(stored, number, verdict)
            StudyView(stored).end(number, outcome)
        seen(stored, MESSAGE, host=MESSAGE, pid=1, device=MESSAGE, trial=None, images=0, images_per_s=0.0)


def test_a_launch_and_a_training_show_what_they_are_told_as_it_stands(
    folder: Path, plan: Plan, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both with the analytic trainer; what a real one says of classes comes by the same console."""
    console = PlainConsole(width=100)
    specification = varied(plan, trials=1).specification
    place = f"sqlite:///{folder / 'analytic.db'}"
    assert launch(replace(specification, storage=place), folder=folder, console=console) == 0
    console.print(metrics_table({"ap": 0.5, **{f"ap/{name}": 0.25 for name in CLASSES.values()}}))
    progress = Progress(console, rungs=(40,))
    snapshot = Snapshot(finished=0, trials=1, best=None, activities=(), outcomes=())
    progress.update(snapshot)
    told = OutcomeRecord(trial=0, outcome=Outcome.CRASHED, message=MESSAGE, recorded_at=datetime.now(UTC))
    progress.update(replace(snapshot, outcomes=(told,)))
    shown = "".join(capfd.readouterr())
    assert harmless(shown)
    assert "AP of car [parked]" in shown
    assert "AP of [/] " in shown
    assert r"[/red] \x1b[31m [link=x] (step 0" in shown


def harmless(text: str) -> bool:
    return not [raw for raw in RAW if raw in text]


def test_every_command_shows_brackets_and_sends_the_terminal_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> str:
        given = [each.replace("FOLDER", str(folder)).replace("FILE", str(folder / "study.yaml")) for each in arguments]
        monkeypatch.setattr(sys, "argv", ["frcnn-search", *given])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code in (0, 2), arguments
        shown = "".join(capfd.readouterr())
        assert harmless(shown), (arguments, shown)
        return shown

    shown = {}
    run("launch", "FILE", "--only-create")
    fill(folder)
    for command, calls in CALLS.items():
        shown[command] = "\n".join(run(command, *call) for call in calls)
    assert r"exp[final] [bold]\x1b[31m\x9b2J" in shown["sample-data"]
    assert "car [parked]" in shown["doctor"]
    assert r"\x1b]0;owned" in shown["doctor"]
    assert r"train [red]\x1b[2J\x9b.png" in shown["doctor"]
    assert r"[/red] \x1b[31m [link=x]" in shown["status"]
    assert r"[/red] \x1b[31m [link=x]" in shown["explain"]


@pytest.mark.parametrize("command", ["doctor", "launch", "status", "explain", "export", "dashboard"])
def test_a_folder_whose_name_is_no_text_is_refused(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "study.yaml").write_text("data: {folder: data}\n")
    monkeypatch.setattr(sys, "argv", ["frcnn-search", command, str(folder / "study.yaml")])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert r"caf\udce9" in "".join(capfd.readouterr())


def test_the_walk_knows_every_command() -> None:
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert {name.replace("_", "-") for name in names} == set(CALLS)
