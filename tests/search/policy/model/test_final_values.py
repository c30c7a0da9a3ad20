"""Finals against a table worked out by hand, and what must hold of any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.policy.model.final_values import final_values, line_between, spread_of
from search.policy.model.targets import MOST_VARIANCE, targets_of

NAN = np.nan


def exact(readings: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(readings), np.nan, 0.0)


def test_before_anyone_has_gone_on_nothing_is_gained_and_little_is_known():
    readings = np.array([[0.1, NAN], [0.3, NAN], [0.2, NAN]])
    finals = final_values(readings, exact(readings))
    assert finals.values.tolist() == [0.1, 0.3, 0.2]
    assert finals.variances == pytest.approx([(0.5 * 0.1) ** 2] * 3)  # half the spread from the median to the best
    assert finals.reading_variances.tolist() == [0.0] * 3


def test_a_line_through_two_trials_is_drawn_to_no_slope():
    # gains 0.2 and 0.4 at 0.1 and 0.3: centre 0.2, gain 0.3; slope (0.1 · 0.1 · 2) / (0.02 + 2 · 0.1²)
    readings = np.array([[0.1, 0.3], [0.3, 0.7]])
    line = line_between(readings[:, 0], readings[:, 1], np.zeros(2), np.zeros(2))
    assert (line.centre, line.gain, line.slope) == (pytest.approx(0.2), pytest.approx(0.3), pytest.approx(0.5))
    # residuals ± 0.05: 0.005; (0.005 + 0.75 · 0.05²) / 5 · 1.5
    assert line.variance == pytest.approx((0.005 + 0.75 * 0.0025) / 5 * 1.5)


def test_a_trial_that_was_read_in_full_without_error_is_known_exactly():
    readings = np.array([[0.1, 0.3], [0.3, 0.7], [0.2, NAN]])
    finals = final_values(readings, exact(readings))
    assert finals.values[:2].tolist() == [0.3, 0.7]
    assert finals.variances[:2].tolist() == [0.0, 0.0]
    assert finals.values[2] == pytest.approx(0.2 + 0.3 + 0.5 * 0.0)


def test_a_reading_with_an_error_is_weighed_against_what_was_expected():
    readings = np.array([[0.1, 0.3], [0.3, 0.7]])
    errors = np.array([[0.05, 0.05], [0.05, 0.05]])
    line = line_between(readings[:, 0], readings[:, 1], errors[:, 0], errors[:, 1])
    expected = line.carried(readings[:, 0])
    before = 0.05**2 * (1 + line.slope) ** 2 + line.variance
    share = before / (before + 0.05**2)
    finals = final_values(readings, errors)
    assert finals.values == pytest.approx(expected + share * (readings[:, 1] - expected))
    assert finals.variances == pytest.approx([share * 0.05**2] * 2)


READINGS = st.lists(
    st.lists(st.floats(0, 1), min_size=1, max_size=3).map(lambda v: v + [NAN] * (3 - len(v))), min_size=2, max_size=20
).map(np.array)


@given(readings=READINGS, error=st.sampled_from([0.0, 0.02, 0.2]))
@settings(deadline=None)
def test_finals_are_finite_and_what_is_error_of_reading_is_part_of_the_variance(readings: np.ndarray, error: float):
    errors = np.where(np.isnan(readings), NAN, error)
    finals = final_values(readings, errors)
    assert np.isfinite(finals.values).all()
    assert (finals.variances >= finals.reading_variances * (1 - 1e-9) - 1e-15).all()
    targets = targets_of(finals, last_error=error)
    assert np.isfinite(targets.values).all()
    assert (targets.variances <= MOST_VARIANCE).all()


@given(readings=READINGS)
@settings(deadline=None)
def test_targets_keep_the_order_of_the_finals(readings: np.ndarray):
    finals = final_values(readings, exact(readings))
    targets = targets_of(finals, last_error=0.0)
    order = np.argsort(finals.values, kind="stable")
    assert (np.diff(targets.values[order]) >= -1e-9).all()


def test_the_spread_is_from_the_median_to_the_best():
    assert spread_of(np.array([0.1, 0.2, 0.6, NAN])) == pytest.approx(0.4)
    assert spread_of(np.array([0.1])) == 0
