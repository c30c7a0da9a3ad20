"""One run of the command, within the process of a test."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of the command left."""

    code: int
    out: str
    err: str
