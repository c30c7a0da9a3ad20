import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.policy.screens.divergence_risk import BOUNDARIES, SCALINGS, STEEPNESSES, Tried, divergence_risk

TRIED = st.builds(
    Tried,
    rate_per_16=st.floats(-6, 2).map(lambda log: 10**log),
    batch_size=st.sampled_from([1, 4, 16, 64]),
    diverged=st.booleans(),
)


def tried(rate: float, *, diverged: bool, batch_size: int = 16) -> Tried:
    return Tried(rate_per_16=rate, batch_size=batch_size, diverged=diverged)


def slow_risk(trials: list[Tried], rate: float, batch_size: int) -> float:
    """The same in plain Python, a combination after another, trial by trial, from rates that aren't rounded."""
    weights, weighted = 0.0, 0.0
    for boundary, steepness, scaling in itertools.product(BOUNDARIES, STEEPNESSES, SCALINGS):

        def risk(rate: float, batch: int, b=boundary, s=steepness, c=scaling) -> float:
            return 1 / (1 + math.exp(-s * (math.log10(rate) + c * math.log10(batch / 16) - b)))

        risks = [(risk(trial.rate_per_16, trial.batch_size), trial.diverged) for trial in trials]
        weight = math.prod(each if diverged else 1 - each for each, diverged in risks)
        weights += weight
        weighted += weight * risk(rate, batch_size)
    return weighted / weights


@pytest.mark.parametrize(
    ("trials", "rate", "batch_size"),
    [
        pytest.param([], 0.1, 16, id="no trial"),
        pytest.param([tried(1.0, diverged=True)], 0.1, 16, id="one that diverged"),
        pytest.param([tried(1.0, diverged=True), tried(0.01, diverged=False)], 0.1, 16, id="one of each"),
        pytest.param(
            [tried(1.0, diverged=True), tried(1.0, diverged=False), tried(0.1, diverged=True, batch_size=160)],
            0.1,
            4,
            id="contradicting ones at other batches",
        ),
    ],
)
def test_it_is_the_average_over_all_boundaries(trials, rate, batch_size):
    """Rates and batches of whole tenths of a decade from 1 and 16, so that none is rounded."""
    found = divergence_risk(trials, rate_per_16=rate, batch_size=batch_size)
    assert found == pytest.approx(slow_risk(trials, rate, batch_size), rel=1e-9)


def test_halfway_between_one_that_trained_and_one_that_diverged_it_is_a_half():
    """Everything is symmetric around the geometric mean of 0.01 and 1, which lies far from the ends of the grid."""
    both = [tried(0.01, diverged=False), tried(1.0, diverged=True)]
    assert divergence_risk(both, rate_per_16=0.1, batch_size=16) == pytest.approx(0.5, abs=0.01)


def test_where_ten_diverged_and_ten_below_did_not_the_boundary_is_sharp():
    below = [tried(0.01 * 1.1**n, diverged=False) for n in range(10)]  # to 0.024
    above = [tried(0.1 * 1.1**n, diverged=True) for n in range(10)]  # to 0.24
    assert divergence_risk(below + above, rate_per_16=0.01, batch_size=16) < 0.02
    assert divergence_risk(below + above, rate_per_16=0.24, batch_size=16) > 0.98


def test_where_trials_contradict_each_other_nothing_is_certain():
    mixed = [tried(0.03 * 1.3**n, diverged=n % 2 == 0) for n in range(10)]  # 0.03 to 0.32
    assert 0.2 < divergence_risk(mixed, rate_per_16=0.1, batch_size=16) < 0.8


@pytest.mark.parametrize(
    ("scaling", "safe_at_64"),
    [
        # Boundary 0.1 at batch 16. Scaled linearly 0.1 · 16 / 64 = 0.025 at batch 64: 0.05 is above it; unscaled below.
        pytest.param(1.0, False, id="the step's own rate decides"),
        pytest.param(0.0, True, id="the rate per 16 images decides"),
    ],
)
def test_how_the_boundary_moves_with_the_batch_is_learnt_from_the_trials(scaling, safe_at_64):
    trials = [
        tried(0.1 * (16 / batch) ** scaling * factor, diverged=factor > 1, batch_size=batch)
        for batch in (2, 8, 16)
        for factor in (0.4, 0.6, 0.8, 1.25, 1.7, 2.5)
    ]
    assert (divergence_risk(trials, rate_per_16=0.05, batch_size=64) < 0.5) == safe_at_64


@given(st.lists(TRIED, max_size=12), TRIED)
def test_it_is_a_probability_that_never_falls_with_the_rate(trials, wanted):
    rates = [wanted.rate_per_16 * factor for factor in (0.1, 1.0, 10.0)]
    risks = [divergence_risk(trials, rate_per_16=rate, batch_size=wanted.batch_size) for rate in rates]
    assert all(0 <= risk <= 1 for risk in risks)
    assert risks == sorted(risks)


@given(st.lists(TRIED, max_size=12), TRIED)
def test_one_more_that_diverged_raises_it_and_one_that_trained_lowers_it(trials, wanted):
    def risk(*more: Tried) -> float:
        return divergence_risk([*trials, *more], rate_per_16=wanted.rate_per_16, batch_size=wanted.batch_size)

    here = (wanted.rate_per_16, wanted.batch_size)
    diverged, trained = (Tried(rate_per_16=here[0], batch_size=here[1], diverged=ended) for ended in (True, False))
    assert risk(trained) <= risk() + 0.02  # rates count in tenths of a decade
    assert risk(diverged) >= risk() - 0.02
