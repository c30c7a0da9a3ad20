"""A finding about their file: a diagnostic of the doctor that names their key, their line and their value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search.doctor.diagnostic import Diagnostic, Level
from search.imports.wish import Wish

LONGEST_VALUE = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """The one right value of a wish."""

    wish: str  # a field of `Imported`; `pixels.mean` lies in one
    value: Any  # as that field has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Diagnostic):
    """A diagnostic that knows what to write instead: all of it together, or nothing."""

    mends: tuple[Mend, ...] = ()  # empty: there is no value, or more than one, that would be right


def finding(
    name: str, level: Level, wish: Wish[Any], message: str, advice: str, *, mends: Sequence[Mend] = ()
) -> Finding:
    """The finding; the message goes on behind the key."""
    where = f"line {wish.line}: " if wish.line else "not in the file, so the framework's own: "
    return Finding(
        name=name, level=level, message=f"{wish.key} {message}", advice=advice,
        examples=(f"{where}{wish.key} = {shown(wish.value)}",), mends=tuple(mends),
    )  # fmt: skip


def shown(value: Any) -> str:
    """The value as a person reads it, on one short line."""
    text = _text(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_text, value))}]"
    return str(value)
