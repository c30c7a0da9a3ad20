"""JSON text that keeps every float: a figure that isn't finite becomes {"float": "nan"}, "inf" or "-inf".

Plain JSON has no word for them, and Python's own (`NaN`) makes SQL's JSON functions fail on the whole row.
"""

import json
import math
from collections.abc import Mapping
from typing import Any


def encode(values: Mapping[str, Any]) -> str:
    """Valid JSON for a flat mapping of names to numbers and strings."""
    return json.dumps({name: _encoded(value) for name, value in values.items()}, allow_nan=False)


def decode(text: str) -> dict[str, Any]:
    """The mapping that `encode` was given."""
    return {name: _decoded(value) for name, value in json.loads(text).items()}


def _encoded(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def _decoded(value: Any) -> Any:
    return float(value["float"]) if isinstance(value, dict) else value
