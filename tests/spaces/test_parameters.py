import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import ConfigError
from spaces.parameters import Categorical, Fixed, Float, Int, nearest, suggest, values_of


@pytest.mark.parametrize(
    ("build", "rule"),
    [
        pytest.param(lambda: Float(low=2, high=1), "low must be less than high", id="low above high"),
        pytest.param(lambda: Float(low=1, high=1), "a single value fixes the parameter", id="low equals high"),
        pytest.param(lambda: Float(low=0, high=1, log=True), "needs low > 0", id="logarithm of zero"),
        pytest.param(lambda: Float(low=math.nan, high=1), "low must be a finite number", id="not a number"),
        pytest.param(lambda: Float(low=0, high=math.inf), "high must be a finite number", id="infinite"),
        pytest.param(lambda: Float(low=False, high=1), "low must be a finite number", id="a boolean is no number"),
        pytest.param(lambda: Int(low=1.5, high=3), "low must be a whole number", id="fraction"),
        pytest.param(lambda: Int(low=1, high=4, step=2), "low plus a multiple of step", id="high off the grid"),
        pytest.param(lambda: Int(low=1, high=3, step=0), "step must be at least 1", id="no step"),
        pytest.param(lambda: Int(low=1, high=5, step=2, log=True), "exclude each other", id="log and step"),
        pytest.param(lambda: Categorical(values=()), "the list is empty", id="no choice"),
        pytest.param(lambda: Categorical(values=(4, 4)), "choices must differ", id="the same twice"),
        pytest.param(lambda: Categorical(values=(4, math.nan)), "must be a finite number or text", id="choice of nan"),
        pytest.param(lambda: Categorical(values=(None,)), "must be a finite number or text", id="choice of nothing"),
        pytest.param(lambda: Fixed(value=math.inf), "must be a finite number or text", id="fixed infinite"),
    ],
)
def test_a_parameter_that_breaks_a_rule_cannot_be_built(build, rule):
    with pytest.raises(ConfigError, match=rule):
        build()


@pytest.mark.parametrize(
    ("parameter", "inside", "outside"),
    [
        pytest.param(Float(low=0.1, high=1), [0.1, 1, 0.5], [0.0999, 1.0001, "0.5", True, math.nan], id="real"),
        pytest.param(Int(low=1, high=5, step=2), [1, 3, 5], [2, 0, 7, 3.0, True], id="whole with a step"),
        pytest.param(Categorical(values=(4, 8)), [4, 8], [6, "4", True], id="choice"),
        pytest.param(Categorical(values=(1, 2)), [1, 2], [True], id="a boolean is not one"),
        pytest.param(Fixed(value="sgd"), ["sgd"], ["adam", 0], id="fixed"),
    ],
)
def test_a_parameter_knows_its_values(parameter, inside, outside):
    assert all(parameter.contains(value) for value in inside)
    assert not any(parameter.contains(value) for value in outside)


@pytest.mark.parametrize(
    ("parameter", "wanted", "expected"),
    [
        pytest.param(Float(low=0.1, high=1), 3, 1, id="above a range"),
        pytest.param(Float(low=0.1, high=1), 0.4, 0.4, id="within a range"),
        pytest.param(Int(low=1, high=5, step=2), 4.2, 5, id="(4.2 - 1) / 2 = 1.6 steps, so two"),
        pytest.param(Int(low=1, high=5, step=2), 99, 5, id="above whole numbers"),
        pytest.param(Categorical(values=(4, 8)), 16, 8, id="choice of numbers"),
        pytest.param(Categorical(values=("adam",)), "sgd", "adam", id="text that is not listed"),
        pytest.param(Categorical(values=("adam", "sgd")), "sgd", "sgd", id="text that is listed"),
        pytest.param(Fixed(value=2), 7, 2, id="fixed"),
    ],
)
def test_the_nearest_value_is_one_of_the_parameters_own(parameter, wanted, expected):
    assert nearest(parameter, wanted) == expected
    assert parameter.contains(nearest(parameter, wanted))


def test_suggest_asks_the_trial_in_optunas_words(trial):
    assert suggest(Float(low=1, high=2, log=True), "a", trial) == 1
    assert suggest(Int(low=1, high=5, step=2), "b", trial) == 1
    assert suggest(Categorical(values=("x", "y")), "c", trial) == "x"
    assert trial.asked == {
        "a": {"low": 1, "high": 2, "log": True},
        "b": {"low": 1, "high": 5, "step": 2, "log": False},
        "c": {"choices": ("x", "y")},
    }


def test_a_fixed_parameter_is_never_suggested(trial):
    assert suggest(Fixed(value=3), "a", trial) == 3
    assert trial.asked == {}


@settings(deadline=None)
@given(st.integers(-50, 50), st.integers(1, 9), st.integers(1, 9), st.floats(-1e6, 1e6))
def test_the_nearest_whole_number_is_never_farther_than_any_other(low, steps, step, wanted):
    parameter = Int(low=low, high=low + steps * step, step=step)
    best = min(abs(value - wanted) for value in values_of(parameter))
    assert abs(nearest(parameter, wanted) - wanted) == pytest.approx(best)
