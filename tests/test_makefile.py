"""The frame of the repository: make's help, the pinned dependencies, and what CI runs."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_alone_lists_every_target_that_a_person_calls() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in (
        "setup",
        "study",
        "quick",
        "test",
        "test-slow",
        "fuzz",
        "check",
        "duplicates",
        "format",
        "check-weights",
        "bench",
        "planted",
        "clean",
    ):
        assert re.search(rf"^  make {target} +\w", shown, flags=re.MULTILINE)


def test_the_constraints_hold_names_and_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().split()}
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[<>=;]", entry)[0].strip().lower().replace("_", "-") for entry in wanted}
    assert names - pinned == set()


def test_ci_runs_the_checks_and_every_test_with_the_browser_required() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text()
    assert script.stat().st_mode & 0o111
    for line in ("make check", "make duplicates", "make test", "make test-slow"):
        assert line in text.splitlines()
    assert "export CI=" in text


def test_every_package_of_ours_is_installed() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    homes = {package.partition(".")[0] for package in listed}
    there = {file.parent.relative_to(ROOT) for home in homes for file in (ROOT / home).rglob("__init__.py")}
    assert listed == {".".join(package.parts) for package in there}
