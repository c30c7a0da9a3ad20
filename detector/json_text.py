"""JSON that may have come from anywhere: whatever is wrong with it is a `ValueError`."""

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """The value.

    Raises:
        ValueError: no JSON, no UTF-8, nested too deep to be read, or a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
