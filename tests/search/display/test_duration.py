"""How long something lasts, in words."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.display.duration import clock_text, range_text, time_left


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (-3, "0:00"), (7.9, "0:07"), (760, "12:40"), (3599, "59:59"), (10931, "3:02:11")]
)
def test_a_clock_shows_minutes_and_where_needed_hours(seconds, text):
    assert clock_text(seconds) == text


@pytest.mark.parametrize(
    ("least_s", "most_s", "text"),
    [
        (0.1, 0.2, "1 s"), (40, 90, "40 to 90 s"), (100, 119, "100 to 119 s"), (60, 120, "1 to 2 min"),
        (720, 1500, "12 to 25 min"), (7000, 7300, "2 h"), (10800, 18000, "3 to 5 h"),
        (86400, 3 * 86400, "1 to 3 days"),
    ],
)  # fmt: skip
def test_a_range_has_one_unit_and_one_number_where_both_are_the_same(least_s, most_s, text):
    assert range_text(least_s, most_s) == text


def test_what_is_left_follows_from_what_was_done_with_a_spread_that_falls_with_both_counts():
    assert time_left(10.0, 0, 5) is None
    assert time_left(10.0, 5, 0) is None
    least_s, most_s = time_left(40.0, 4, 4)  # 40 s likely, spread 1 + √(1/4 + 1/4)
    assert least_s == pytest.approx(40 / (1 + math.sqrt(0.5)))
    assert most_s == pytest.approx(40 * (1 + math.sqrt(0.5)))


@given(st.floats(0.1, 1e6), st.integers(1, 1000), st.integers(1, 1000))
def test_the_likely_time_lies_within_the_range(elapsed_s, done, remaining):
    least_s, most_s = time_left(elapsed_s, done, remaining)
    assert least_s < elapsed_s / done * remaining < most_s
