"""One exported configuration, and its full training with the analytic trainer."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.export.export import export
from search.study.study_file import load_study_file
from search.terminal import PlainConsole
from search.training.full_training import train
from storage.connection.database import Database
from storage.study import find_study

#: Trains with these options; gives the exit code and what was printed.
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def configuration(database: Database, study: optuna.Study, study_file: Path, tmp_path: Path) -> Path:
    """The export of the hand-made study."""
    file = tmp_path / "best.yaml"
    export(find_study(database, study.study_name), load_study_file(study_file), output=file, trial=0)
    return file


@pytest.fixture
def run() -> Run:
    def trained(configuration: Path, output: Path, **options: Any) -> tuple[int, str]:
        console = PlainConsole(file=io.StringIO(), width=100)
        settings = {"images": 640, "data": None, "seed": None, "trainer": "analytic", **options}
        code = train(configuration, output=output, console=console, **settings)
        return code, console.file.getvalue()  # type: ignore[attr-defined]

    return trained
