"""A value of theirs as it was wished, valid or not, with key and line where it stood, and the way back there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")
UNWRITABLE: Any = object()  # what a way back gives for a value that their key cannot hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where a value stands in the text."""

    line: int  # the first is 1
    start: int  # characters from the beginning of the text
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish(Generic[T]):
    """What a file says, or its framework where the file is silent. Rules of ours may be broken by it."""

    value: T
    key: str  # in their file: `SOLVER.BASE_LR`; of several, the first
    line: int | None = None  # None: the file doesn't have it, and the value is the framework's own
    back: Callable[[Any], Any] | None = None  # from a value like this one to what stands at the key; None: no way
    companions: tuple["Wish[Any]", ...] = ()  # what stands elsewhere and follows; each is written for the same value

    @property
    def place(self) -> str:
        """Where it stands, for a message."""
        return f"{self.key} (line {self.line})" if self.line else f"{self.key} (not in the file)"

    def becomes(self, change: Callable[[T], U], back: Callable[[U], Any] | None = None) -> "Wish[U]":
        """Another value from the same place; `back` undoes the change, or gives `UNWRITABLE`."""
        return replace(
            self,
            value=change(self.value),  # type: ignore[arg-type]
            back=_chain(back, self.back) if back and self.back else None,
        )  # type: ignore[return-value]

    def written(self, value: T) -> Any:
        """What must stand at the key for this value; `UNWRITABLE` where nothing would do."""
        return self.back(value) if self.back else UNWRITABLE


def _chain(first: Callable[[Any], Any], then: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def both(value: Any) -> Any:
        between = first(value)
        return UNWRITABLE if between is UNWRITABLE else then(between)

    return both


def same(value: T) -> T:
    """The way back of a value that stands as it is."""
    return value


def fixed(value: T, about: str) -> Wish[T]:
    """What the framework has built in; `about` stands where a key would."""
    return Wish(value=value, key=about)
