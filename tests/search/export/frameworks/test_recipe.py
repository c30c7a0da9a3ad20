"""What frameworks are told: counts and schedule, against the trainer's own."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config import Canvas, Detector, Hyperparameters
from search.export.frameworks.recipe import Recipe, SplitFiles
from tests.support.export_cases import CASES, configuration

FILES = SplitFiles(annotations="a.json", images="images", count=1, turned=0)


def recipe(images: int, **values: object) -> Recipe:
    square = Detector(canvas=Canvas(height_px=128, width_px=128))
    made = configuration(Hyperparameters(**values), square, images=images)  # type: ignore[arg-type]
    return Recipe(configuration=made, images=images, train=FILES, validation=FILES)


def test_the_defaults_at_the_length_of_detectron2_are_its_numbers() -> None:
    whole = recipe(90_000 * 16)
    assert (whole.iterations, whole.milestones) == (90_000, (60_000, 80_000))
    assert whole.warmup_iterations == pytest.approx(990)
    assert whole.whole_warmup_iterations == 990


@pytest.mark.parametrize(
    ("images", "batch", "boundary", "milestone"),
    [
        (100, 10, 0.5, 5),  # 5 · 10 / 100 is 0.5
        (101, 10, 0.5, 6),  # 5 · 10 / 101 is 0.495: rounding 0.5 · 11 to even would say 6 too
        (104, 16, 0.34, 3),  # 2 · 16 / 104 is 0.308, 3 · 16 / 104 is 0.462: rounding 0.34 · 7 = 2.38 would say 2
        (1000, 7, 0.613, 88),  # 87.57 iterations
    ],
)
def test_a_milestone_is_the_first_iteration_at_or_past_its_boundary(
    images: int, batch: int, boundary: float, milestone: int
) -> None:
    assert recipe(images, batch_size=batch, decay_boundaries=(boundary,)).milestones == (milestone,)


def test_a_milestone_that_no_iteration_reaches_is_left_out() -> None:
    short = recipe(20, batch_size=16, decay_boundaries=(0.5, 0.9))  # iterations 0 and 1: shares 0 and 0.8
    assert short.iterations == 2
    assert short.milestones == (1,)


def test_two_boundaries_in_one_iteration_are_one_step_by_both_factors() -> None:
    short = recipe(64, batch_size=16, decay_boundaries=(0.55, 0.6), decay_factor=0.1)  # shares 0, .25, .5, .75
    assert short.milestones == (3, 3)
    assert short.rate_steps == ((3, pytest.approx(0.01)),)


@pytest.mark.parametrize(("fraction", "whole"), [(0.0, 0), (0.0003, 1), (0.0123, 10), (0.0129, 11)])
def test_a_warm_up_is_rounded_and_never_to_nothing(fraction: float, whole: int) -> None:
    awkward = replace(CASES["awkward"].hyperparameters, warmup_fraction=fraction)
    made = replace(CASES["awkward"], hyperparameters=awkward)
    assert Recipe(configuration=made, images=10_049, train=FILES, validation=FILES).whole_warmup_iterations == whole


def test_the_error_of_a_rounded_warm_up_is_that_of_the_worst_iteration() -> None:
    awkward = Recipe(configuration=CASES["awkward"], images=10_049, train=FILES, validation=FILES)
    assert awkward.warmup_iterations == pytest.approx(10.300, abs=1e-3)  # 0.0123 · 10049 / 12
    # At iteration 10 the real warm-up has gone 10 / 10.3 of the way, the whole one all of it.
    assert awkward.warmup_error == pytest.approx((1 - 0.013) * (1 - 10 / 10.300225), rel=1e-4)
    assert recipe(90_000 * 16).warmup_error == pytest.approx(0, abs=1e-9)


schedules = st.builds(
    recipe,
    st.integers(16, 5000),
    batch_size=st.integers(1, 16),
    warmup_fraction=st.floats(0, 0.3),
    warmup_factor=st.floats(0, 1),
    decay_boundaries=st.sampled_from([(), (0.5,), (0.31, 0.9), (2 / 3, 8 / 9)]),
    decay_factor=st.floats(0.01, 1),
)


@given(schedules)
def test_warm_up_and_milestones_give_the_trainer_s_rate_at_every_iteration(made: Recipe) -> None:
    ours = made.hyperparameters
    for iteration in range(0, made.iterations, max(1, made.iterations // 97)):
        passed = sum(iteration >= milestone for milestone in made.milestones)
        rate = ours.learning_rate * ours.decay_factor**passed
        if iteration < made.warmup_iterations:
            rate *= ours.warmup_factor + (1 - ours.warmup_factor) * iteration / made.warmup_iterations
        assert made.rate(iteration) == pytest.approx(rate, rel=1e-9)


@given(schedules)
def test_a_whole_warm_up_ends_before_the_first_milestone(made: Recipe) -> None:
    assert all(made.whole_warmup_iterations < milestone for milestone in made.milestones)
    assert made.whole_warmup_iterations <= made.iterations


def test_counts_are_those_of_the_canvas_and_not_detectron2_s() -> None:
    small = recipe(100).counts
    assert (small.proposals_train, small.roi_samples) == (128, 64)  # the floors: a canvas of 1/16 of 512²
