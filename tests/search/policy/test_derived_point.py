import pytest

from search.policy.derived_point import derived_rate
from spaces.faster_rcnn import Space
from spaces.parameters import Categorical, Fixed, Float

SPACE = Space.default()


def test_from_scratch_trial_1_begins_in_the_middle_of_the_proposed_range():
    assert derived_rate(SPACE, from_scratch=True) == {"lr_per_16": 0.002}  # √(0.0002 · 0.02)
    assert derived_rate(SPACE, from_scratch=False) == {}


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"optimizer": Fixed(value="adam")}, id="no SGD"),
        pytest.param({"lr_per_16": Fixed(value=0.01)}, id="fixed"),
        pytest.param({"lr_per_16": Categorical(values=(0.01, 0.02))}, id="listed"),
        pytest.param({"lr_per_16": Float(low=0.01, high=0.1, log=True)}, id="all above"),
    ],
)
def test_trial_1_keeps_to_the_rates_of_the_study(parameters):
    assert derived_rate(SPACE.replaced(parameters), from_scratch=True) == {}
