"""Their file with what the linter blames mended, finding by finding, where there is one right value.

Each value is read back before it counts: it must be there, and nothing else may have changed.
"""

from collections.abc import Sequence
from dataclasses import fields
from itertools import groupby
from typing import Any

from detector.config import ConfigError
from search.imports.edit.basis import FOLLOWERS, Basis, Change, Onto, is_close
from search.imports.imported import Imported
from search.imports.lint.finding import shown
from search.imports.wish import Wish
from search.study.imported_section import ImportedMend


def mended(text: str, basis: Basis, mends: Sequence[ImportedMend]) -> Onto:
    """The text with the mends written into it, all those of one finding or none of them."""
    whole = Onto(text=text, changes=(), unwritten=())
    for finding, group in groupby(mends, lambda mend: mend.finding):
        whole = _with(list(group), finding, whole.text, basis).after(whole)
    return whole


def _with(mends: Sequence[ImportedMend], finding: str, text: str, basis: Basis) -> Onto:
    changed, changes = text, []
    for mend in mends:
        done = _mended(changed, basis, mend)
        if done is None:
            return Onto(text=text, changes=(), unwritten=(_refusal(mend, wishes(basis.imported(text))),))
        changed, own = done
        changes += own
    return Onto(text=changed, changes=tuple(changes), unwritten=())


def _refusal(mend: ImportedMend, known: dict[str, Wish[Any]]) -> str:
    wish = known.get(mend.wish)
    there = f"{wish.key}: {shown(wish.value)} stays" if wish else f"{mend.wish}: not in the file"
    return f"{there}, {shown(mend.value)} is wanted, for {mend.finding}"


def _mended(text: str, basis: Basis, mend: ImportedMend) -> tuple[str, list[Change]] | None:
    """The text with that value, with what changed; None where it would mean anything else."""
    before = wishes(basis.imported(text))
    wish = before.get(mend.wish)
    if wish is None:
        return None
    if is_close(wish.value, mend.value):
        return text, []
    changed = basis.written(text, wish, mend.value)
    after = _read(changed, basis)
    if changed is None or mend.wish not in after or not is_close(after[mend.wish].value, mend.value):
        return None
    changes = list(basis.changes(text, wish, mend.value, why=mend.finding))
    for name in FOLLOWERS.get(mend.wish, ()):
        if not is_close(after[name].value, before[name].value):
            back = basis.written(changed, after[name], before[name].value)
            if back is not None:
                changes += basis.changes(changed, after[name], before[name].value, why=mend.finding)
                changed, after = back, _read(back, basis)
    kept = all(name == mend.wish or is_close(after[name].value, wish.value) for name, wish in before.items())
    return (changed, changes) if kept else None


def _read(text: str | None, basis: Basis) -> dict[str, Wish[Any]]:
    try:
        return wishes(basis.imported(text)) if text is not None else {}
    except ConfigError:
        return {}


def wishes(imported: Imported) -> dict[str, Wish[Any]]:
    """All that the file wishes, by the field's name; what lies in a field by both names, `pixels.mean`."""
    own = {field.name: getattr(imported, field.name) for field in fields(imported)}
    inner = {f"pixels.{name}": getattr(imported.pixels, name, None) for name in ("order", "mean", "std")}
    return {name: wish for name, wish in (own | inner).items() if isinstance(wish, Wish)}
