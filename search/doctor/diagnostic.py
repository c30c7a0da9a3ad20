"""A diagnostic of the doctor: what was seen in the data or the study before any training, and what to do about it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

MOST_EXAMPLES = 5


class Level(StrEnum):
    """How bad it is; in this order."""

    ERROR = "error"  # training can't begin, or can't succeed
    WARNING = "warning"  # it costs accuracy, or spoils the figures
    NOTE = "note"  # good to know; nothing need be done


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One kind of trouble, found `count` times."""

    name: str  # stable, for programs: `degenerate-boxes`
    level: Level
    message: str  # one sentence: what was found
    advice: str  # what to do
    count: int = 1
    examples: tuple[str, ...] = ()  # files first; at most `MOST_EXAMPLES`


D = TypeVar("D", bound=Diagnostic)


def worst_first(diagnostics: Iterable[D]) -> tuple[D, ...]:
    """The diagnostics by level; among equals in the order in which they were found."""
    order = list(Level)
    return tuple(sorted(diagnostics, key=lambda diagnostic: order.index(diagnostic.level)))


def located(places: Iterable[str], *, name: str, level: Level, message: str, advice: str) -> Iterator[Diagnostic]:
    """A diagnostic that counts the places where it was found, and names the first few; nothing without a place."""
    found = list(places)
    if found:
        yield Diagnostic(
            name=name, level=level, message=message, advice=advice, count=len(found), examples=first_few(found)
        )


def first_few(texts: Iterable[str]) -> tuple[str, ...]:
    """The first few, each once."""
    return tuple(dict.fromkeys(texts))[:MOST_EXAMPLES]
