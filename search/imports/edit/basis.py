"""A file of theirs as text that can be changed: how it was read, and one value written into it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from detector.config import Hyperparameters
from search.imports.edit.literals import Syntax, literal
from search.imports.edit.text_edit import span_at, with_value
from search.imports.formats.their_prototext import parse_prototext
from search.imports.formats.their_python import parse_python
from search.imports.formats.their_yaml import parse_yaml
from search.imports.framework import Framework
from search.imports.imported import Imported
from search.imports.lint.finding import shown
from search.imports.recognition import READERS
from search.imports.trial_zero import trial_zero
from search.imports.wish import UNWRITABLE, Span, Wish

CLOSE = 1e-6
#: What moves along with a value in some file, and is set right after it.
FOLLOWERS: Mapping[str, tuple[str, ...]] = {
    "batch_size": ("learning_rate", "warmup_iterations", "milestones"),  # epochs get shorter or longer
    "learning_rate": ("warmup_factor",),
}

SYNTAX = {
    Framework.DETECTRON2: Syntax.YAML,
    Framework.MMDET: Syntax.PYTHON,
    Framework.TORCHVISION: Syntax.JSON,
    Framework.TF_OD: Syntax.PROTOTEXT,
    Framework.TFM: Syntax.YAML,
}
PARSERS: Mapping[Syntax, Callable[[str, str], tuple[dict[str, Any], dict[str, Span]]]] = {
    Syntax.YAML: parse_yaml,
    Syntax.JSON: parse_yaml,  # which holds all of JSON, and tells where values stand
    Syntax.PYTHON: parse_python,
    Syntax.PROTOTEXT: parse_prototext,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One key of theirs with another value, as both are written."""

    key: str
    line: int | None  # None: it was not in the file
    before: str
    after: str
    why: str = ""  # the finding that it mends; empty: a value of the trial

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "added"
        return f"{self.key} ({where}): {self.before} → {self.after}" + (f", for {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Onto:
    """A file of theirs with other values."""

    text: str
    changes: tuple[Change, ...]
    unwritten: tuple[str, ...]  # what the file could not be made to say

    def after(self, earlier: "Onto") -> "Onto":
        """Both changes as one of the text before the earlier; what was changed and changed back is none."""
        changes = {change.key: change for change in earlier.changes}
        for change in self.changes:
            first = changes.get(change.key, change)
            changes[change.key] = replace(change, line=first.line, before=first.before)
        changed = tuple(each for each in changes.values() if each.before != each.after)
        return Onto(text=self.text, changes=changed, unwritten=(*earlier.unwritten, *self.unwritten))


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """How the file was read when its trial 0 was made of it."""

    file: Path
    framework: Framework
    gpus: int
    images: int
    scale: float

    def imported(self, text: str) -> Imported:
        """What the text wishes."""
        return _imported(self, text)

    def read(self, text: str) -> tuple[Imported, Hyperparameters]:
        """What the text wishes, and what trial 0 is of it."""
        return _imported(self, text), _hyperparameters(self, text)

    def written(self, text: str, wish: Wish[Any], value: Any) -> str | None:
        """The text with the value at the wish's key and its companions' keys; None where nothing would mean it."""
        try:
            natives = [(each.key, each.written(value)) for each in (wish, *wish.companions)]
        except (ZeroDivisionError, OverflowError, IndexError):
            return None
        for key, native in natives:
            if native is UNWRITABLE:
                return None
            text = with_value(text, self._spans(text), key, literal(native, self._syntax), self._syntax)
        return text

    def changes(self, text: str, wish: Wish[Any], value: Any, *, why: str = "") -> Iterator[Change]:
        """What `written` does to the text at each key, for a person."""
        spans = self._spans(text)
        for each in (wish, *wish.companions):
            span = span_at(spans, each.key)
            before = " ".join(text[span.start : span.stop].split()) if span else self._literal(each, each.value)
            yield Change(
                key=each.key, line=span.line if span else None, before=shown(before),
                after=shown(self._literal(each, value)), why=why,
            )  # fmt: skip

    @property
    def _syntax(self) -> Syntax:
        return SYNTAX[self.framework]

    def _spans(self, text: str) -> dict[str, Span]:
        return PARSERS[self._syntax](text, str(self.file))[1]

    def _literal(self, wish: Wish[Any], value: Any) -> str:
        native = wish.written(value)
        return str(value) if native is UNWRITABLE else literal(native, self._syntax)


@lru_cache(maxsize=8)  # each change is looked at before and after
def _imported(basis: Basis, text: str) -> Imported:
    return READERS[basis.framework](text, basis.file, gpus=basis.gpus, images=basis.images)


@lru_cache(maxsize=8)
def _hyperparameters(basis: Basis, text: str) -> Hyperparameters:
    return trial_zero(_imported(basis, text), scale=basis.scale).hyperparameters


def is_close(one: Any, other: Any) -> bool:
    """Whether the values are the same but for rounding."""
    if isinstance(one, Sequence) and isinstance(other, Sequence) and not isinstance(one, str):
        return len(one) == len(other) and all(map(is_close, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=1e-12)
    return bool(one == other)
