"""Points are likely to work near those that did, and only as many are judged as can be the most promising."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search.policy.model.feasibility import LOT, Feasibility, feasibility_scales, fitted_places, most_promising
from search.policy.model.fitting import Fits


def test_points_beside_failures_are_unlikely_to_work():
    worked, failed = np.linspace(0.0, 0.4, 9)[:, None], np.linspace(0.6, 1.0, 9)[:, None]
    likely = Feasibility.of(worked, failed, feasibility_scales(worked, failed, Fits())).likelihood(
        np.array([[0.2], [0.8]])
    )
    assert likely[0] > 0.9
    assert likely[1] < 0.1


def test_where_few_failed_all_of_them_are_fitted_to():
    worked, failed = fitted_places(1000, 5)
    assert list(failed) == [0, 1, 2, 3, 4]
    assert len(worked) == 64 - 5


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=100))
def test_the_most_promising_has_the_largest_product(points: list[tuple[float, float]]):
    gain, likelihood = np.array(points).T
    found = most_promising(gain, lambda places: likelihood[places])
    assert gain[found] * likelihood[found] == (gain * likelihood).max()


def test_what_gains_less_than_the_best_product_is_not_judged():
    judged: list[int] = []

    def likelihood(places: np.ndarray) -> np.ndarray:
        judged.extend(places)
        return np.full(len(places), 0.9)

    gain = np.linspace(1.0, 0.0, 10 * LOT)
    assert most_promising(gain, likelihood) == 0
    assert judged == list(range(2 * LOT)) or judged == list(range(LOT))
