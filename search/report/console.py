"""The console that every command prints to: what the user's data or paths hold is printed as it stands."""

from typing import Any

from rich.console import Console


def plain_console(**options: Any) -> Console:
    """A console without markup, emoji codes, highlighting, or breaks in the middle of a line."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=True, **options)
