"""Our values as values that JSON has."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np


def plain(value: Any, *, not_finite: Callable[[float], Any] = str) -> Any:
    """Dataclasses as objects by field, tuples as lists, enums and NumPy's scalars by value.

    JSON has no word for nan and infinities: `not_finite` gives what stands for one.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return not_finite(value)
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item, not_finite=not_finite) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, not_finite=not_finite) for item in value]
    return value
