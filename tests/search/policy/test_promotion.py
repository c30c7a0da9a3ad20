"""Who is promoted, worked out by hand for rungs at 80, 250 and 1000 images and one in four."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.policy.promotion import last_rung, leading, promoted, surplus

RUNGS = (80, 250, 1000)
Values = dict[int, dict[int, float]]


def first(*values: float) -> Values:
    """Trials 0, 1, … with these values at the first rung."""
    return {number: {80: value} for number, value in enumerate(values)}


def due(values: Mapping[int, Mapping[int, float]], waiting: list[int]) -> int | None:
    return promoted(values, waiting, RUNGS, factor=4)


@pytest.mark.parametrize(
    ("values", "waiting", "expected"),
    [
        ({}, [], None),
        (first(0.1, 0.2, 0.3), [0, 1, 2], None),  # three are too few to tell
        (first(0.1, 0.2, 0.4, 0.3), [0, 1, 2, 3], 2),  # the first of four
        (first(0.1, 0.2, 0.4, 0.3), [0, 1, 3], None),  # one of four went on
        (first(0.1, 0.2, 0.4, 0.3, 0.5), [0, 1, 3, 4], 4),  # a record goes on whatever the quota says
        (first(0.1, 0.2, 0.4, 0.3, 0.4), [0, 1, 3, 4], None),  # a tie with the best is none
        (first(0.0, 0.0, 0.0, 0.0), [0, 1, 2, 3], 0),  # nothing tells them apart: the quota lets the first go on
        (first(0.1, 0.2, 0.4, 0.3, 0.1, 0.1, 0.1, 0.1), [0, 1, 3, 4, 5, 6, 7], 3),  # eight: a second one
        (first(0.5, 0.2, 0.4, 0.3), [1, 2, 3], None),  # the best of four is another's already
    ],
)
def test_a_waiting_trial_goes_on_as_worked_out_by_hand(values: Values, waiting: list[int], expected: int | None):
    assert due(values, waiting) == expected


def test_the_higher_rung_is_looked_at_first():
    values = first(*[0.1 * n for n in range(8)])
    for number in (4, 5, 6, 7):
        values[number][250] = 0.3
    values[5][250] = 0.6
    assert due(values, [0, 1, 2, 3, 4, 5, 6, 7]) == 5  # at 250, not the best at 80


def test_a_trial_waits_only_where_it_was_read_last():
    values = first(0.1, 0.2, 0.3, 0.9)
    values[3][250] = 0.5  # waits at 250, where it is alone
    assert due(values, [0, 1, 2, 3]) is None  # one of the four has gone on from 80


def test_the_leading_trial_is_the_best_at_the_highest_rung():
    values = first(0.9, 0.2, 0.3)
    values[1][250], values[2][250] = 0.1, 0.4
    assert leading(values, [0, 1, 2], RUNGS) == 2
    assert leading(values, [0], RUNGS) == 0
    assert leading(values, [], RUNGS) is None


def test_those_behind_enough_others_are_surplus():
    values = first(0.5, 0.1, 0.4, 0.2, 0.3)
    assert surplus(values, [0, 1, 2, 3, 4], RUNGS, most=3) == [3, 1]
    assert surplus(values, [0, 1, 2], RUNGS, most=3) == []


STUDIES = st.dictionaries(
    st.integers(0, 40),
    st.lists(st.floats(0, 1), min_size=1, max_size=3).map(lambda v: dict(zip(RUNGS, v, strict=False))),
)


@given(values=STUDIES, data=st.data())
def test_who_is_promoted_waits_and_is_the_best_that_waits_there(values: Values, data: st.DataObject):
    able = [number for number, own in values.items() if last_rung(own) < RUNGS[-1]]
    waiting = data.draw(st.lists(st.sampled_from(able), unique=True)) if able else []
    chosen = due(values, waiting)
    if chosen is not None:
        rung = last_rung(values[chosen])
        there = [number for number in waiting if last_rung(values[number]) == rung]
        assert chosen in waiting
        assert values[chosen][rung] == max(values[number][rung] for number in there)


@given(values=STUDIES)
def test_no_more_than_the_quota_and_the_records_go_on(values: Values):
    """All trials begin at the first rung and go on as they may: at most one in four, and one for each new record."""
    seen: Values = {}
    waiting: list[int] = []
    gone, records = 0, 0
    for number, own in values.items():
        records += 1 + len(seen) > 3 and all(own[80] > other[80] for other in seen.values())
        seen[number] = {80: own[80]}
        waiting.append(number)
        while (chosen := due(seen, waiting)) is not None:
            waiting.remove(chosen)
            gone += 1
    assert gone <= len(seen) // 4 + records
