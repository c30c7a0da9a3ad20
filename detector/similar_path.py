"""What a path that leads nowhere was likely meant to be."""

import os
import shlex
from difflib import get_close_matches
from pathlib import Path

MOST_NAMES = 5_000  # of a folder; a longer list isn't compared
_LEAST_LIKENESS = 0.75


def did_you_mean(path: Path) -> str:
    """What a message that a path isn't there adds in brackets: the one beside it that was meant; or nothing."""
    names = _names(path.parent)
    if parts := [name for name in names if name.startswith(f"{path.name} ")]:
        return f" (a path with spaces must be quoted: {shlex.quote(str(path.with_name(parts[0])))})"
    near = get_close_matches(path.name, [name for name in names if name != path.name], n=1, cutoff=_LEAST_LIKENESS)
    return f" (did you mean {shlex.quote(str(path.with_name(near[0])))}?)" if near else ""


def _names(folder: Path) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return names if len(names) <= MOST_NAMES else []
