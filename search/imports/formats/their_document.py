"""A stranger's configuration as plain values by dotted key, `model.rpn_head.num_classes`, each with its place.

Lists of mappings are numbered: `param_scheduler[0].end`. What is asked for is checked here: a value of another kind is
a `ConfigError` that names the key and the line.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from detector.config import ConfigError
from search.imports.wish import Span, Wish, same
from spaces.parameters import is_number

LONGEST_SHOWN = 60  # characters of a value in a message
MISSING = object()  # no value at all; None is one


class Unreadable:
    """Stands for what only running their program would tell."""

    def __repr__(self) -> str:
        return "an expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirDocument:
    """Values by key; `defaults` are the framework's own where the file is silent."""

    source: str
    values: Mapping[str, Any]
    spans: Mapping[str, Span] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def find(self, key: str) -> Any:
        """The value at a dotted key, `MISSING` where there is none; the defaults' where only they have one.

        Raises:
            ConfigError: there is a plain value where the file should have a group of keys.
        """
        found = _at(self.values, key)
        if found is MISSING:
            self._require_groups(key)
        return _at(self.defaults, key) if found is MISSING else found

    def _require_groups(self, key: str) -> None:
        *parents, last = key.split(".")
        for count in range(1, len(parents) + 1):
            parent = ".".join(parents[:count])
            value = _at(self.values, parent)
            if isinstance(value, bool | int | float | str):
                raise ConfigError(f"{self.source}: {parent} must hold keys such as {last}, but is {value!r:.60}")

    def has(self, key: str) -> bool:
        """Whether the file itself says something there."""
        return _at(self.values, key) is not MISSING

    def wish(self, key: str, default: Any = MISSING) -> Wish[Any]:
        """The value at the key as it is, with its place.

        Raises:
            ConfigError: it is missing and has no default, or is an expression.
        """
        value = self.find(key)
        value = default if value is MISSING else value
        if value is MISSING:
            raise ConfigError(f"{self.source}: {key} is missing; give the whole configuration that was trained")
        span = self.spans.get(key) or self.spans.get(key.replace("[0]", ""))  # one alone has no number
        if isinstance(value, Unreadable):
            where = f" (line {span.line})" if span else ""
            raise ConfigError(f"{self.source}: {key}{where} is an expression; write its value, for nothing is run here")
        return Wish(value=value, key=key, line=span.line if span else None, back=same)

    def number(self, key: str, default: Any = MISSING) -> Wish[float]:
        """A finite number."""
        wish = self.wish(key, default)
        if not is_number(wish.value):
            raise self.refusal(wish, "must be a finite number")
        return wish.becomes(float, same)

    def whole(self, key: str, default: Any = MISSING) -> Wish[int]:
        """A whole number."""
        wish = self.number(key, default)
        if wish.value != int(wish.value):
            raise self.refusal(wish, "must be a whole number")
        return wish.becomes(int, same)

    def text(self, key: str, default: Any = MISSING) -> Wish[str]:
        """Text; None is the empty text."""
        wish = self.wish(key, default)
        if wish.value is None:
            return wish.becomes(lambda _: "")
        if not isinstance(wish.value, str):
            raise self.refusal(wish, "must be text")
        return wish

    def flag(self, key: str, default: Any = MISSING) -> Wish[bool]:
        """True or false."""
        wish = self.wish(key, default)
        if not isinstance(wish.value, bool):
            raise self.refusal(wish, "must be true or false")
        return wish

    def numbers(self, key: str, default: Any = MISSING) -> Wish[tuple[float, ...]]:
        """Finite numbers; one alone is a list of one."""
        wish = self.wish(key, default)
        values = wish.value if isinstance(wish.value, list | tuple) else [wish.value]
        if not all(map(is_number, values)):
            raise self.refusal(wish, "must be finite numbers")
        return wish.becomes(lambda _: tuple(map(float, values)), list)

    def lists(self, key: str, default: Any = MISSING) -> Wish[tuple[tuple[float, ...], ...]]:
        """Lists of finite numbers, none of them empty; a flat list is one list."""
        wish = self.wish(key, default)
        rows = wish.value if isinstance(wish.value, list | tuple) else [wish.value]
        rows = rows if any(isinstance(row, list | tuple) for row in rows) else [rows]
        if not rows or not all(isinstance(row, list | tuple) and row and all(map(is_number, row)) for row in rows):
            raise self.refusal(wish, "must be lists of finite numbers")
        return wish.becomes(
            lambda _: tuple(tuple(map(float, row)) for row in rows), lambda lists: list(map(list, lists))
        )

    def names(self, key: str, default: Any = MISSING) -> Wish[tuple[str, ...]]:
        """A list of texts; one alone is a list of one."""
        wish = self.wish(key, default)
        values = wish.value if isinstance(wish.value, list | tuple) else [wish.value]
        if not all(isinstance(value, str) for value in values):
            raise self.refusal(wish, "must be a list of texts")
        return wish.becomes(lambda _: tuple(values), list)

    def items(self, key: str) -> Iterator[str]:
        """The keys of the members of a list of mappings: `param_scheduler[0]`, …; one mapping alone is its own key."""
        found = self.find(key)
        if isinstance(found, Mapping):
            yield key
        elif isinstance(found, list | tuple):
            yield from (f"{key}[{number}]" for number, each in enumerate(found) if isinstance(each, Mapping))

    def refusal(self, wish: Wish[Any], rule: str) -> ConfigError:
        """The error that a value breaks a rule without which nothing can be made of it."""
        shown = repr(wish.value) if not isinstance(wish.value, int) or abs(wish.value) < 10**30 else "enormous"
        shown = shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}…"
        return ConfigError(f"{self.source}: {wish.place} {rule}, but is {shown}")


def _at(values: Any, key: str) -> Any:
    for part in key.replace("[", ".[").split("."):
        if part.startswith("["):
            index = int(part[1:-1])
            if not isinstance(values, list | tuple) or index >= len(values):
                return MISSING
            values = values[index]
        elif isinstance(values, Mapping) and part in values:
            values = values[part]
        else:
            return MISSING
    return values


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the other's values over its own, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
