import json
import math
from dataclasses import dataclass
from enum import Enum, StrEnum

import numpy as np
import pytest

from search.report.plain import plain


class Colour(StrEnum):
    RED = "red"


class Number(Enum):
    ONE = 1


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    inner: "Point | None" = None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, None, id="nothing"),
        pytest.param(True, True, id="a truth value"),
        pytest.param(Colour.RED, "red", id="an enum of texts"),
        pytest.param(Number.ONE, 1, id="an enum of numbers"),
        pytest.param(np.int64(3), 3, id="a whole number of NumPy's"),
        pytest.param(np.float32(0.5), 0.5, id="a float of NumPy's"),
        pytest.param(np.float64("nan"), "nan", id="not a number"),
        pytest.param(-math.inf, "-inf", id="infinite"),
        pytest.param((1, (2.0, "a")), [1, [2.0, "a"]], id="tuples"),
        pytest.param(Point(1.0, Point(math.inf)), {"x": 1.0, "inner": {"x": "inf", "inner": None}}, id="dataclasses"),
        pytest.param({"a": (Colour.RED,)}, {"a": ["red"]}, id="within a mapping"),
    ],
)
def test_whatever_we_hold_becomes_what_json_has(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    assert json.loads(json.dumps(found, allow_nan=False)) == expected


def test_what_is_not_finite_may_be_null():
    assert plain({"a": (math.nan, 1.0)}, not_finite=lambda _: None) == {"a": [None, 1.0]}
