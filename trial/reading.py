"""What one evaluation says of a trial, as trials are compared by it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A value at a rung, larger is better, comparable with other trials' at the same rung of the same study."""

    value: float
    error: float = 0.0  # its standard error, in the same unit; 0 where it is unknown
