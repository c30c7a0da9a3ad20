"""A value of theirs as it was wished, valid or not, with the key and the line where it stood."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish(Generic[T]):
    """What a file says, or its framework where the file is silent. Rules of ours may be broken by it."""

    value: T
    key: str  # in their file: `SOLVER.BASE_LR`; of several, the first
    line: int | None = None  # None: the file doesn't have it, and the value is the framework's own

    @property
    def place(self) -> str:
        """Where it stands, for a message."""
        return f"{self.key} (line {self.line})" if self.line else f"{self.key} (not in the file)"

    def becomes(self, change: Callable[[T], U]) -> "Wish[U]":
        """Another value from the same place."""
        return replace(self, value=change(self.value))  # type: ignore[arg-type, return-value]


def fixed(value: T, about: str) -> Wish[T]:
    """What the framework has built in; `about` stands where a key would."""
    return Wish(value=value, key=about)
