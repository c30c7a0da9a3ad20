"""The process against values worked out by hand, against finite differences, and against the formulas written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from search.policy.model.gaussian_process import (
    JITTER,
    Scales,
    fitted,
    kernel,
    negative_log_posterior,
    posterior,
    squared_differences,
)

UNIT = Scales(lengths=np.ones(1), amplitude=1.0, noise=0.0)
UNIT_OF_THREE = Scales(lengths=np.ones(3), amplitude=1.0, noise=0.001)


def drawn(seed: int, n: int = 12, d: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    points = generator.random((n, d))
    return points, np.sin(5 * points[:, 0]) + 0.1 * generator.standard_normal(n), generator.random(n) * 0.1


def test_the_kernel_is_materns_at_half_a_length():
    root = np.sqrt(5) * 0.5
    expected = (1 + root + root**2 / 3) * np.exp(-root)
    assert kernel(np.array([[0.0]]), np.array([[0.5]]), UNIT)[0, 0] == pytest.approx(expected)
    assert kernel(np.array([[0.2]]), np.array([[0.2]]), UNIT)[0, 0] == pytest.approx(1.0)


def test_two_points_predict_what_the_two_equations_say():
    points, values = np.array([[0.0], [1.0]]), np.array([1.0, -1.0])
    known = posterior(points, values, np.zeros(2), UNIT)
    near = kernel(np.array([[0.25]]), points, UNIT)[0]
    between = kernel(points, points, UNIT)[0, 1]
    # by symmetry the weights are ± 1 / (1 - k(1))
    mean, sd = known.predict(np.array([[0.25]]))
    assert mean[0] == pytest.approx((near[0] - near[1]) / (1 + JITTER - between))
    inverse = np.linalg.inv([[1 + JITTER, between], [between, 1 + JITTER]])
    assert sd[0] ** 2 == pytest.approx(1 - near @ inverse @ near)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_the_gradient_is_that_of_finite_differences(seed: int):
    points, values, variances = drawn(seed)
    logs = np.random.default_rng(seed + 1).uniform(-1.5, 0.5, points.shape[1] + 2)
    squares = squared_differences(points)
    _, gradient = negative_log_posterior(logs, squares, values, variances)
    numeric = approx_fprime(logs, lambda x: negative_log_posterior(x, squares, values, variances)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=2e-3, atol=2e-3)


def test_the_likelihood_is_the_normal_densitys():
    points, values, variances = drawn(0)
    ours = []
    densities = []
    for logs in (np.full(5, -0.3), np.full(5, 0.1)):
        scales = Scales(lengths=np.exp(logs[:3]), amplitude=float(np.exp(logs[3])), noise=float(np.exp(logs[4])))
        covariance = kernel(points, points, scales) + np.diag(scales.noise + variances + JITTER)
        densities.append(0.5 * (values @ np.linalg.solve(covariance, values) + np.linalg.slogdet(covariance)[1]))
        means = np.array([np.log(0.8)] * 3 + [0.0, np.log(1e-3)])
        off = (logs - means) / np.array([0.8] * 3 + [1.0, 1.5])
        ours.append(negative_log_posterior(logs, squared_differences(points), values, variances)[0] - off @ off / 2)
    assert ours[1] - ours[0] == pytest.approx(densities[1] - densities[0])


def test_a_coordinate_without_effect_gets_a_longer_length_than_one_with():
    points, values, variances = drawn(3, n=40)
    scales = fitted(points, values, variances)
    assert scales.lengths[0] < scales.lengths[1:].min()


def test_the_same_history_gives_the_same_fit():
    first, second = fitted(*drawn(4)), fitted(*drawn(4))
    assert np.array_equal(first.lengths, second.lengths)
    assert (first.amplitude, first.noise) == (second.amplitude, second.noise)


def test_a_value_of_great_variance_is_hardly_believed():
    points, values = np.array([[0.0], [1.0]]), np.array([0.0, 5.0])
    sure = posterior(points, values, np.zeros(2), UNIT).predict(points)[0][1]
    unsure = posterior(points, values, np.array([0.0, 100.0]), UNIT).predict(points)[0][1]
    assert sure == pytest.approx(5.0, abs=1e-3)
    assert abs(unsure) < 0.2


def test_expecting_is_reading_the_own_mean():
    points, values, variances = drawn(5)
    scales = Scales(lengths=np.full(3, 0.5), amplitude=1.3, noise=0.01)
    before = posterior(points, values, variances, scales)
    places, new = np.random.default_rng(6).random((2, 4, 3))
    read = posterior(
        np.vstack([points, places]),
        np.concatenate([values, before.mean(places)]),
        np.concatenate([variances, np.full(4, 0.02)]),
        scales,
    )
    for expected, found in zip(read.predict(new), before.expecting(places, 0.02).predict(new), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_the_mean_at_the_points_is_the_values_less_what_is_put_down_to_their_own_variance():
    points, values, variances = drawn(7)
    known = posterior(points, values, variances, UNIT_OF_THREE)
    np.testing.assert_allclose(values - known.own_variances * known.weights, known.mean(points), atol=1e-9)


def test_a_kernel_of_many_places_is_that_of_each():
    places, points = np.random.default_rng(8).random((2, 150, 3))
    whole = kernel(places, points, UNIT_OF_THREE)
    for row in (0, 63, 64, 149):
        np.testing.assert_allclose(whole[row], kernel(places[row : row + 1], points, UNIT_OF_THREE)[0], rtol=1e-12)
