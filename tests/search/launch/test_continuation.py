"""A study of other settings that goes on from another one's best trials."""

from pathlib import Path

import optuna
import pytest

from detector.config import ConfigError
from search.launch.continuation import MOST_POINTS, write_continuation
from search.launch.launching import only_create
from search.plan import Plan, as_launched
from search.study.study_file import load_study_file
from search.terminal import PlainConsole
from storage.connection.database import Database
from storage.outcomes import record_outcome
from storage.study import find_study
from storage.telemetry import record_rung
from tests.support.studies import load_optuna_study
from trial.outcome import Outcome
from trial.reports import RungReport
from trial.verdict import Verdict

TEXT = """# mine
name: cells  # the first
storage: sqlite:///cells.db
trainer: analytic
data: {train: {images: ., annotations: train.json}}
detector: {canvas: 96x128}
budget: {trials: 8, images: 1440}
space: {lr_per_16: {low: 0.001, high: 0.05}}
"""
QUIET = PlainConsole(quiet=True)


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    """A study with three trials of rates 0.002, 0.004 and 0.006, the higher the better, and one that diverged."""
    file = tmp_path / "study.yaml"
    file.write_text(TEXT)
    specification = load_study_file(file)
    assert only_create(specification, folder=tmp_path, console=QUIET) == 0
    with Database.open(specification.storage) as database:
        stored, study = find_study(database, "cells"), load_optuna_study(database, "cells")
        for rate, outcome in ((0.002, Outcome.COMPLETE), (0.004, Outcome.COMPLETE), (0.006, Outcome.COMPLETE)):
            point = specification.space.nearest({"lr_per_16": rate})
            study.enqueue_trial(point)
            trial = study.ask()
            specification.space.suggest(trial)
            report = RungReport(step=9, images=1440, ap=50 * rate, metrics={}, training_s=1.0, evaluation_s=1.0)
            record_rung(stored, trial.number, report)
            record_outcome(stored, trial.number, Verdict(outcome=outcome))
            study.tell(trial, 50 * rate)
        lost = study.ask()
        specification.space.suggest(lost)
        record_outcome(stored, lost.number, Verdict(outcome=Outcome.DIVERGED))
        study.tell(lost, state=optuna.trial.TrialState.PRUNED)
    return file


def test_the_best_trials_come_first_and_the_old_study_stays(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("96x128", "128x128"))
    new = write_continuation(study_file, "cells-2")
    assert new == study_file.with_name("cells-2.yaml")
    specification = load_study_file(new)
    assert (specification.name, str(specification.detector.canvas)) == ("cells-2", "128x128")
    assert "# mine" in new.read_text()
    first = Plan.of(specification, study_file.parent).first_points
    assert [point["lr_per_16"] for point in first] == [0.02, 0.006, 0.004, 0.002]  # the reference, then the best
    assert only_create(specification, folder=study_file.parent, console=QUIET) == 0
    with Database.open(specification.storage) as database:
        assert as_launched(find_study(database, "cells-2"), storage="sqlite:///x.db").first_points
        assert len(load_optuna_study(database, "cells").trials) == 4


def test_points_are_moved_into_the_space_of_today(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("low: 0.001", "low: 0.003"))
    points = load_study_file(write_continuation(study_file, "narrow")).first_points
    assert [point["lr_per_16"] for point in points] == [0.006, 0.004, 0.003]
    assert len(points) <= MOST_POINTS


@pytest.mark.parametrize(
    "text",
    [
        TEXT + "first_points:\n  - {lr_per_16: 0.01}  # mine\n  - {lr_per_16: 0.02}\n",
        TEXT.replace("name: cells  # the first", "# no name: that of the file"),
        "{name: cells, storage: 'sqlite:///cells.db', trainer: analytic, "
        "data: {train: {images: ., annotations: train.json}}}",
    ],
)
def test_a_file_of_any_style_is_changed_whole(study_file: Path, text: str) -> None:
    file = study_file.with_name("cells.yaml")
    file.write_text(text)
    specification = load_study_file(write_continuation(file, "cells-2"))
    assert specification.name == "cells-2"
    assert [point["lr_per_16"] for point in specification.first_points] == [0.006, 0.004, 0.002]


def test_a_refused_launch_names_the_way_on(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("96x128", "128x128"))
    with pytest.raises(
        ConfigError, match="To go on from its best trials instead, launch again with --continue-as NAME"
    ):
        only_create(load_study_file(study_file), folder=study_file.parent, console=QUIET)


def test_what_cannot_go_on_is_refused(study_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must name another study"):
        write_continuation(study_file, "cells")
    write_continuation(study_file, "once")
    with pytest.raises(ConfigError, match=r"once\.yaml is there; launch it"):
        write_continuation(study_file, "once")
    (tmp_path / "new.yaml").write_text(TEXT.replace("cells", "fresh"))
    assert only_create(load_study_file(tmp_path / "new.yaml"), folder=tmp_path, console=QUIET) == 0
    with pytest.raises(ConfigError, match="no trial with a value"):
        write_continuation(tmp_path / "new.yaml", "other")
    with pytest.raises(ConfigError, match="--continue-as must begin with a letter"):
        write_continuation(study_file, "../up")
