"""Warm-up and piecewise-constant decay over shares of the budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config import Hyperparameters
from detector.schedule import learning_rate, optimizer_steps

TRIAL = Hyperparameters(
    lr_per_16=0.02, batch_size=8, warmup_fraction=0.1, warmup_factor=0.5, decay_boundaries=(0.5, 0.8), decay_factor=0.1
)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        pytest.param(0, 0.01 * 0.5, id="warm-up begins at its factor"),
        pytest.param(50, 0.01 * (0.5 + 0.5 * 0.5), id="half-way through warm-up"),
        pytest.param(100, 0.01, id="peak is lr_per_16 · 8 / 16"),
        pytest.param(499, 0.01, id="until the first boundary"),
        pytest.param(500, 0.01 * 0.1, id="first decay"),
        pytest.param(800, 0.01 * 0.01, id="second decay"),
    ],
)
def test_the_rate_follows_the_schedule(images: int, expected: float) -> None:
    assert learning_rate(TRIAL, images, 1000) == pytest.approx(expected)


@given(budget=st.integers(16, 10**6), share=st.floats(0, 0.999))
def test_a_configuration_means_the_same_at_every_budget(budget: int, share: float) -> None:
    images = int(share * budget)
    assert learning_rate(TRIAL, images, budget) == pytest.approx(learning_rate(TRIAL, images * 10, budget * 10))


@pytest.mark.parametrize(("images", "steps"), [(8, 1), (9, 2), (16, 2)])
def test_a_rung_is_rounded_up_to_whole_steps(images: int, steps: int) -> None:
    assert optimizer_steps(images, 8) == steps
