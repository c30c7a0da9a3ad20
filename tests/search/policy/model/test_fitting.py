"""Scales are fitted at milestones of the history, and what a worker remembers of it changes nothing."""

import numpy as np
import pytest

from search.policy.model.choice import Evidence, chosen
from search.policy.model.cube import Cube, Side
from search.policy.model.fitting import Fits, evenly, milestone
from search.policy.model.gaussian_process import Scales
from spaces.parameters import Float

SIDE = Float(low=0.0, high=1.0)
CUBE = Cube([Side(name=name, parameter=SIDE, needs=None, values=(), is_text=False) for name in "ab"], {})


class Noting(Fits):
    """Remembers what it was asked to fit."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def scales(self, points: np.ndarray, values: np.ndarray, variances: np.ndarray) -> Scales:
        self.asked.append(points.tobytes() + values.tobytes())
        return super().scales(points, values, variances)


def evidence(count: int, *, failed: int = 0) -> Evidence:
    """Of a study that had begun with the same trials, were it longer; best in the middle, one rung, errors known."""
    shares = np.random.default_rng(0).random((1000, 2))[:count]
    noise = np.random.default_rng(1).standard_normal(1000)[:count]
    values = 0.5 - ((shares - 0.5) ** 2).sum(axis=1) + 0.01 * noise
    return Evidence(
        read=shares,
        readings=values[:, None],
        errors=np.full((count, 1), 0.01),
        failed=0.2 * np.random.default_rng(2).random((1000, 2))[:failed],
        pending=np.array([[0.4, 0.6]]),
    )


@pytest.mark.parametrize(
    ("count", "first"), [(0, 0), (5, 5), (64, 64), (79, 64), (80, 80), (99, 80), (100, 100), (10_000, 8563)]
)
def test_from_sixty_four_on_a_quarter_more_trials_make_a_milestone(count: int, first: int):
    """80, 100, 125, 156, 195, 243, 303, 378, 472, 590, 737, 921, 1151, 1438, 1797, 2246, 2807, 3508, 4385, 5481, 6851,
    8563: each a quarter more, rounded down.
    """
    assert milestone(count) == first


def test_places_are_spread_over_all():
    assert list(evenly(3)) == [0, 1, 2]
    assert list(evenly(9, most=3)) == [0, 4, 8]
    assert len(evenly(0)) == 0


def test_between_two_milestones_the_same_is_fitted():
    fits = Noting()
    for count in range(64, 80):
        chosen(CUBE, evidence(count), np.random.default_rng(count), fits)
    assert len(set(fits.asked)) == 1
    chosen(CUBE, evidence(80), np.random.default_rng(80), fits)
    assert len(set(fits.asked)) == 2


@pytest.mark.parametrize("count", [12, 90, 400])
def test_a_worker_that_knows_the_study_proposes_what_a_new_one_would(count: int):
    old = Fits()
    for before in range(max(6, count - 12), count):
        chosen(CUBE, evidence(before, failed=before // 4), np.random.default_rng(before), old)
    now = evidence(count, failed=count // 4)
    proposals = [chosen(CUBE, now, np.random.default_rng(count), fits) for fits in (old, Fits())]
    assert np.array_equal(*proposals)


def test_a_reading_of_one_of_the_first_trials_is_learnt_from():
    fits, changed = Noting(), evidence(70)
    chosen(CUBE, evidence(70), np.random.default_rng(0), fits)
    changed.readings[3] += 0.1
    chosen(CUBE, changed, np.random.default_rng(0), fits)
    assert len(set(fits.asked)) == 2
