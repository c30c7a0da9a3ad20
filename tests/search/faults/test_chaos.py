import os

import pytest

from search.faults import history
from tests.support.chaos.study import FAULTS_PER_STUDY, strike


@pytest.mark.slow
def test_thirty_random_faults_on_two_databases_lose_double_and_stick_nothing(monkeypatch):
    monkeypatch.setenv(history.VARIABLE, "")  # both are set within, and put back afterwards
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", os.environ.get("FRCNN_ANALYTIC_STEP_S", "0"))
    survivals = strike(3 * FAULTS_PER_STUDY, seed=100)
    assert sum(one.struck.total() for one in survivals) >= 3 * FAULTS_PER_STUDY
    assert len(survivals) >= 2  # both databases
    for one in survivals:
        assert one.tally.noted > 0 or one.struck["study deleted"]
        assert one.tally.noted + one.tally.tried == one.tally.stored
