"""How many trials of a study are at random."""

import pytest

from search.study.policy_section import Sampler, SamplerName


@pytest.mark.parametrize(("trials", "startup"), [(1, 0), (3, 1), (10, 3), (16, 5), (29, 9), (30, 10), (200, 10)])
def test_a_third_of_a_small_study_is_at_random_and_never_more_than_ten_trials(trials, startup):
    assert Sampler(name=SamplerName.TPE).startup(trials) == startup


@pytest.mark.parametrize("trials", [1, 30, 200])
def test_the_model_learns_from_five_trials_on(trials):
    assert Sampler().startup(trials) == 5


def test_what_the_user_says_holds():
    assert Sampler(startup_trials=20).startup(10) == 20
    assert Sampler(startup_trials=0).startup(100) == 0
