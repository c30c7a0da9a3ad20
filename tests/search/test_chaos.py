import os
from pathlib import Path

import pytest

from search import history
from tests.search.chaos import strike_one


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "seed"), [("sqlite", 100), ("postgresql", 101)])
def test_ten_random_faults_lose_double_and_stick_nothing(
    kind, seed, tmp_path: Path, postgresql_folder: Path, monkeypatch
):
    monkeypatch.setenv(history.VARIABLE, "")  # both are set within, and put back afterwards
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", os.environ.get("FRCNN_ANALYTIC_STEP_S", "0"))
    struck = strike_one(kind, tmp_path, postgresql_folder, seed, faults=10)
    assert sum(struck.values()) >= 5, struck
