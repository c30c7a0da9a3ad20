"""Points of the default space and back, and what a model sees of them."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.policy.model.candidates import candidates
from search.policy.model.cube import MIDDLE, Cube
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Fixed, Float, Int

SPACE = Space.default()
CUBE = Cube.of(SPACE)
SHARES = st.integers(0, 10**6).map(lambda seed: np.random.default_rng(seed).random(len(CUBE.sides)))


class Drawn:
    """Suggests at random, as Optuna's trial does."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self._random.uniform(low, high)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self._random.randrange(low, high + 1, step)

    def suggest_categorical(self, name: str, choices: list) -> object:
        return self._random.choice(choices)


@given(seed=st.integers(0, 10**6))
@settings(deadline=None)
def test_a_point_of_the_space_comes_back(seed: int):
    point = SPACE.suggest(Drawn(seed))
    back = CUBE.point(CUBE.shares(point))
    assert back.keys() == point.keys()
    assert all(
        back[name] == (pytest.approx(value) if isinstance(value, float) else value) for name, value in point.items()
    )


@given(shares=SHARES)
@settings(deadline=None)
def test_any_shares_are_a_point_that_the_space_takes(shares: np.ndarray):
    point = CUBE.point(shares)
    SPACE.configuration(point)  # raises where something is missing or outside
    assert SPACE.nearest(point).keys() == point.keys()


@given(shares=SHARES)
@settings(deadline=None)
def test_a_model_sees_the_same_of_a_point_and_of_where_it_came_from(shares: np.ndarray):
    again = CUBE.shares(CUBE.point(shares))
    np.testing.assert_allclose(CUBE.coordinates(shares[None]), CUBE.coordinates(again[None]), atol=1e-9)


def test_parameters_that_a_point_lacks_lie_in_the_middle():
    one_size = SPACE.nearest({"anchor_scales": 1})
    place = [side.name for side in CUBE.sides].index("anchor_octave_span")
    assert "anchor_octave_span" not in one_size
    assert CUBE.coordinates(CUBE.shares(one_size)[None])[0, place] == MIDDLE


def test_texts_have_a_coordinate_each_and_numbers_one_in_order():
    space = SPACE.replaced(
        {"batch_size": Categorical(values=(8, 2, 4)), "optimizer": Categorical(values=("sgd", "adam"))}
    )
    cube = Cube.of(space)
    sides = {side.name: side for side in cube.sides}
    assert sides["batch_size"].values == (2, 4, 8)
    assert [sides["batch_size"].share(size) for size in (2, 4, 8)] == pytest.approx([1 / 6, 1 / 2, 5 / 6])
    columns = sum(len(side.values) if side.is_text else 1 for side in cube.sides)
    assert cube.coordinates(np.random.default_rng(0).random((5, len(cube.sides)))).shape == (5, columns)


def test_a_fixed_parent_decides_for_all_points():
    cube = Cube.of(SPACE.replaced({"anchor_scales": Fixed(value=1)}))
    assert not any("anchor_octave_span" in cube.point(np.full(len(cube.sides), share)) for share in (0.0, 0.5, 1.0))


def test_logarithmic_ranges_are_halved_by_their_geometric_mean():
    space = SPACE.replaced({"lr_per_16": Float(low=0.001, high=0.1, log=True)})
    assert {side.name: side for side in Cube.of(space).sides}["lr_per_16"].value(0.5) == pytest.approx(0.01)


def test_whole_numbers_of_a_logarithmic_range_stay_inside():
    side = next(
        side
        for side in Cube.of(SPACE.replaced({"batch_size": Int(low=1, high=64, log=True)})).sides
        if side.name == "batch_size"
    )
    assert [side.value(share) for share in (0.0, 0.5, 1.0)] == [1, 8, 64]
    assert side.share(8) == pytest.approx(0.5)


def test_candidates_near_a_centre_differ_from_it_somewhere_and_lie_in_the_cube():
    centre = np.full((1, len(CUBE.sides)), 0.4)
    found = candidates(CUBE, centre, np.random.default_rng(0))
    assert ((found >= 0) & (found <= 1)).all()
    near = found[-50:]
    assert (near != centre).any(axis=1).all()
    assert (near == centre).mean() > 0.4
