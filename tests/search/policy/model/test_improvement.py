"""Expected improvement against its integral, and beside others against what they may turn out to be."""

import numpy as np
import pytest

from search.policy.model.gaussian_process import Scales, posterior
from search.policy.model.improvement import BELIEVED, improvement, improvement_beside

SCALES = Scales(lengths=np.full(1, 0.3), amplitude=1.0, noise=1e-4)
POINTS, VALUES = np.array([[0.0], [1.0]]), np.array([-0.5, 0.5])
MODEL = posterior(POINTS, VALUES, np.zeros(2), SCALES)
NOBODY = np.zeros((0, 1))


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_it_is_the_mean_of_what_lies_above_the_best():
    drawn = 0.3 + 0.7 * np.random.default_rng(1).standard_normal(10**6)
    expected = np.maximum(drawn - 0.8, 0.0).mean()
    assert improvement(np.array([0.3]), np.array([0.7]), best=0.8)[0] == pytest.approx(expected, abs=2e-3)


def test_alone_nobody_is_looked_at():
    places = np.linspace(0, 1, 7)[:, None]
    alone = improvement_beside(MODEL, NOBODY, places, best=0.5, generator=generator())
    assert np.array_equal(alone, improvement(*MODEL.predict(places), best=0.5))


def test_beside_others_it_is_the_mean_over_what_they_may_reach():
    """Each reading worked through with a process of its own: it moves the best and the means near it."""
    pending, places = np.array([[0.5], [0.7]]), np.linspace(0, 1, 9)[:, None]
    means = MODEL.mean(pending)
    together = MODEL.expecting(pending, BELIEVED).factor[-2:, -2:]
    draws = np.random.default_rng(2).standard_normal((4000, 2))
    gains = []
    for reached in means + draws @ together.T:
        later = posterior(
            np.vstack([POINTS, pending]),
            np.concatenate([VALUES, reached]),
            np.array([0, 0, BELIEVED, BELIEVED]),
            SCALES,
        )
        gains.append(improvement(*later.predict(places), best=max(0.5, reached.max())))
    found = np.mean(
        [
            improvement_beside(MODEL, pending, places, best=0.5, generator=np.random.default_rng(seed))
            for seed in range(200)
        ],
        axis=0,
    )
    np.testing.assert_allclose(found, np.mean(gains, axis=0), atol=0.01)


def test_where_another_is_trying_there_is_little_left_to_gain():
    places = np.array([[0.5], [0.51], [0.8]])
    alone = improvement_beside(MODEL, NOBODY, places, best=0.5, generator=generator())
    beside = improvement_beside(MODEL, np.array([[0.5]]), places, best=0.5, generator=generator())
    assert (beside[:2] < 0.5 * alone[:2]).all()
    assert beside[2] > 0.5 * alone[2]
