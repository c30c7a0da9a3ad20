"""A finding about their file: a diagnostic of the doctor that names their key, their line and their value."""

from typing import Any

from search.doctor.diagnostic import Diagnostic, Level
from search.imports.wish import Wish

LONGEST_VALUE = 80


def finding(name: str, level: Level, wish: Wish[Any], message: str, advice: str) -> Diagnostic:
    """The diagnostic; the message goes on behind the key."""
    where = f"line {wish.line}: " if wish.line else "not in the file, so the framework's own: "
    return Diagnostic(
        name=name, level=level, message=f"{wish.key} {message}", advice=advice,
        examples=(f"{where}{wish.key} = {shown(wish.value)}",),
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
