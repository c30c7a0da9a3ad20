"""What more trials are likely to bring: less the more is known, nothing where nothing can be said."""

import numpy as np
from numpy.typing import NDArray

from search.policy.model.choice import Evidence
from search.policy.model.cube import Cube, Side
from search.policy.model.prospect import prospect
from spaces.parameters import Float

UNIT = Float(low=0.0, high=1.0)
CUBE = Cube([Side(name=name, parameter=UNIT, needs=None, values=(), is_text=False) for name in "ab"], {})


def hill(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Best at (0.7, 0.3), where it is 0.5."""
    found: NDArray[np.float64] = 0.5 - ((points - [0.7, 0.3]) ** 2).sum(axis=1)
    return found


def evidence(points: NDArray[np.float64], *, error: float = 0.0, luck: int = 0) -> Evidence:
    """Trials at those points, all read in full."""
    values = hill(points) + error * np.random.default_rng(luck).standard_normal(len(points))
    return Evidence(
        read=points,
        readings=values[:, None],
        errors=np.full((len(points), 1), error),
        failed=np.zeros((0, 2)),
        pending=np.zeros((0, 2)),
    )


def gain(known: Evidence, *, trials: int = 5, seed: int = 0) -> float:
    found = prospect(CUBE, known, trials=trials, generator=np.random.default_rng(seed))
    assert found is not None
    assert found.trials == trials
    return found.gain


def some(count: int, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).random((count, 2))


def test_a_hill_that_is_known_well_has_nothing_more_to_give():
    known = np.vstack([some(40), [[0.7, 0.3]]])
    assert 0 <= gain(evidence(known)) < 0.01


def test_a_corner_of_it_promises_about_as_much_as_there_is():
    corner = 0.3 * some(8)  # the best of them is 0.22 at most, and the top is 0.5
    there_is = 0.5 - hill(corner).max()
    assert 0.2 * there_is < gain(evidence(corner)) < 3 * there_is


def test_more_trials_promise_more_and_the_same_history_promises_the_same():
    known = evidence(some(8), error=0.02)
    few, many = gain(known, trials=1), gain(known, trials=20)
    assert 0 < few < many
    assert gain(known, trials=20) == many


def test_what_promises_little_is_measured_in_the_unit_of_the_readings():
    known = evidence(some(8))
    tenfold = Evidence(
        read=known.read, readings=10 * known.readings, errors=known.errors, failed=known.failed, pending=known.pending
    )
    assert np.isclose(gain(tenfold), 10 * gain(known), rtol=1e-6)


def test_nothing_is_said_of_too_few_trials_of_equal_ones_or_of_none_more():
    generator = np.random.default_rng(0)
    assert prospect(CUBE, evidence(some(4)), trials=5, generator=generator) is None
    assert prospect(CUBE, evidence(some(8)), trials=0, generator=generator) is None
    assert prospect(CUBE, evidence(np.full((8, 2), 0.5)), trials=5, generator=generator) is None
