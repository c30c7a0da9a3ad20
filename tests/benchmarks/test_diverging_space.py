"""A space of which 60 % diverges: the sampler must leave it, and diverging trials must cost next to nothing."""

from pathlib import Path
from statistics import mean

import pytest

from benchmarks.diverging_space import analytic_study, blind_share, cost


def test_the_space_diverges_as_often_as_is_said(tmp_path: Path) -> None:
    assert 0.55 < blind_share(analytic_study(tmp_path, seed=0), proposals=500) < 0.65


@pytest.mark.slow
def test_few_proposals_diverge_and_hardly_any_image_is_spent_on_them(tmp_path: Path) -> None:
    found = []
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        found.append(cost(analytic_study(folder, seed=seed), folder))
    assert all(each.trained == 60 for each in found)
    assert all(each.refused >= 5 for each in found)
    assert mean(each.diverged / each.trained for each in found) <= 0.15
    assert mean(each.images for each in found) <= 0.02
