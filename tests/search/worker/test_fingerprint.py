"""Which sources make a worker's code another code than the study's."""

import shutil
from pathlib import Path

import pytest

from search.worker.fingerprint import digest_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the sources."""
    for package in ("detector", "search", "spaces", "storage", "trial"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(
    "file",
    ["search/explanation/page.py", "search/report/ranking.py", "search/command_line.py", "search/launch/progress.py"],
)
def test_a_changed_word_in_what_only_shows_is_no_other_code(home, file):
    before = digest_of(home)
    (home / file).write_text((home / file).read_text() + "# another word\n")
    assert digest_of(home) == before


@pytest.mark.parametrize(
    "file",
    [
        "detector/training/step.py",
        "search/policy/samplers.py",
        "search/plan.py",
        "search/worker/loop.py",
        "trial/outcome.py",
    ],
)
def test_a_changed_word_in_what_moves_a_trial_is_other_code(home, file):
    before = digest_of(home)
    (home / file).write_text((home / file).read_text() + "# another word\n")
    assert digest_of(home) != before
