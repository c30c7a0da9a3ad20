"""A finding of the doctor: what was seen in the data or the study before any training, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MOST_EXAMPLES = 5


class Severity(StrEnum):
    """How bad it is; in this order."""

    ERROR = "error"  # training can't begin, or can't succeed
    WARNING = "warning"  # it costs accuracy, or spoils the figures
    NOTE = "note"  # good to know; nothing need be done


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of trouble, found `count` times."""

    name: str  # stable, for programs: `degenerate-boxes`
    severity: Severity
    message: str  # one sentence: what was found
    advice: str  # what to do
    count: int = 1
    examples: tuple[str, ...] = ()  # files first; at most `MOST_EXAMPLES`


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings by severity; among equals in the order in which they were found."""
    order = list(Severity)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def about(places: Iterable[str], *, name: str, severity: Severity, message: str, advice: str) -> Finding:
    """A finding that counts the places where it was found, and names the first few."""
    found = list(places)
    return Finding(
        name=name, severity=severity, message=message, advice=advice, count=len(found), examples=examples(found)
    )


def examples(texts: Iterable[str]) -> tuple[str, ...]:
    """The first few, each once."""
    return tuple(dict.fromkeys(texts))[:MOST_EXAMPLES]
