"""When a study is settled: more trials promise less than the best AP's error."""

from dataclasses import replace

import numpy as np

from search.policy.settlement import Settlement, keep_settlement, read_settlement, settlement
from storage.connection.database import Database
from storage.study import create_study
from tests.search.policy.model.test_prospect import CUBE, evidence, some


def test_a_hill_that_is_known_better_than_it_is_measured_is_settled():
    known = evidence(np.vstack([some(40), [[0.7, 0.3]]]), error=0.05)
    found = settlement(CUBE, known, begun=41, seed=0)
    assert found is not None
    assert (found.begun, found.further, found.error) == (41, 10, 0.05)
    assert 0 <= found.gain < 0.05


def test_what_promises_more_than_the_error_goes_on():
    assert settlement(CUBE, evidence(0.3 * some(8), error=0.001), begun=8, seed=0) is None


def test_nobody_can_say_without_an_error_or_without_a_trial_in_full():
    known = evidence(np.vstack([some(40), [[0.7, 0.3]]]), error=0.05)
    assert settlement(CUBE, evidence(some(40)), begun=40, seed=0) is None
    early = np.full_like(known.readings, np.nan)
    unfinished = replace(known, readings=np.hstack([known.readings, early]), errors=np.hstack([known.errors, early]))
    assert settlement(CUBE, unfinished, begun=41, seed=0) is None


def test_it_is_kept_with_the_study_and_said_in_words(database: Database):
    study = create_study(database, "cells")
    assert read_settlement(study) is None
    found = Settlement(begun=17, further=5, gain=0.0042, error=0.021)
    keep_settlement(study, found)
    assert read_settlement(study) == found
    assert str(found) == (
        "settled after 17 trials: 5 more are likely to add 0.004 to the best AP, which is uncertain by 0.021"
    )
