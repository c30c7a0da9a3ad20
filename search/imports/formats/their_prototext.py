"""Protobuf's text format as a document: nested messages, repeated fields, enums; no schema is known.

A field that comes once is a value, one that comes again a list.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from detector.config import ConfigError
from search.imports.wish import Span

MOST_DEPTH, MOST_FIELDS = 40, 20_000
LONGEST_NUMBER = 40

_TOKEN = re.compile(
    r"""(?P<skip>[\s\ufeff]+|\#[^\n]*)
      | (?P<name>[A-Za-z_][A-Za-z0-9_.]*|\[[A-Za-z_][A-Za-z0-9_./]*\](?=\s*[:{<]))
      | (?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)[fF]?)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<mark>[-{}<>\[\]:,;])""",
    re.VERBOSE,
)
_CLOSING = {"{": "}", "<": ">"}
_WORDS = {"true": True, "false": False, "True": True, "False": False, "t": True, "f": False}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    stop: int


def parse_prototext(text: str, source: str) -> tuple[dict[str, Any], dict[str, Span]]:
    """The values, and where each stands, by dotted key; of a repeated field every one as `scales[1]`.

    Raises:
        ConfigError: it is no text format, or too deep or too long.
    """
    reading = _Reading(text, source)
    values = reading.message("", "", 0)
    return values, reading.spans


class _Reading:
    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self._source = source
        self._tokens = self._scan()
        self._next = next(self._tokens, None)
        self._fields = 0
        self.spans: dict[str, Span] = {}

    def message(self, closing: str, prefix: str, depth: int) -> dict[str, Any]:
        """The fields up to the mark that closes the message; with none, to the end."""
        if depth > MOST_DEPTH:
            raise self._refusal(f"messages are nested in more than {MOST_DEPTH} others")
        found: dict[str, list[Any]] = {}
        repeated: set[str] = set()
        while self._next is not None and self._next.text != closing:
            name = self._take("name").text
            self._field(name, found, repeated, prefix, depth)
        if closing:
            self._expect(closing)
        return {name: values if len(values) > 1 or name in repeated else values[0] for name, values in found.items()}

    def _field(self, name: str, found: dict[str, list[Any]], repeated: set[str], prefix: str, depth: int) -> None:
        values = found.setdefault(name, [])
        has_colon = self._is(":")
        if has_colon:
            self._expect(":")
        if has_colon and self._is("["):
            repeated.add(name)
            start = self._advance().start
            while not self._is("]"):
                values.append(self._value(f"{prefix}{name}", len(values), depth))
                if self._is(","):
                    self._expect(",")
            self._expect("]")
            self.spans[f"{prefix}{name}"] = Span(line=self._line(start), start=start, stop=self._last_stop)
        else:
            values.append(self._value(f"{prefix}{name}", len(values), depth, only_message=not has_colon))
        while self._is(",") or self._is(";"):
            self._advance()

    def _value(self, key: str, number: int, depth: int, *, only_message: bool = False) -> Any:
        self._fields += 1
        if self._fields > MOST_FIELDS:
            raise self._refusal(f"more than {MOST_FIELDS:,} fields")
        key = f"{key}[{number}]" if number else key
        token = self._advance()
        if token.text in _CLOSING and token.kind == "mark":
            value: Any = self.message(_CLOSING[token.text], f"{key}.", depth + 1)
        elif only_message:
            raise self._refusal(f"a `:` or a message must follow the name {key.rpartition('.')[2]}")
        else:
            value = self._scalar(token)
        stop = self._last_stop
        self.spans[key] = Span(line=self._line(token.start), start=token.start, stop=stop)
        return value

    def _scalar(self, token: _Token) -> Any:
        match token.kind:
            case "number":
                return self._number(token.text)
            case "text":
                text = _plain(token.text)
                while self._next is not None and self._next.kind == "text":  # pieces are joined
                    text += _plain(self._advance().text)
                return text
            case "name" if not token.text.startswith("["):
                return _WORDS.get(token.text, token.text)
            case "mark" if token.text == "-" and self._next is not None and self._next.kind == "name":
                return f"-{self._advance().text}"  # -inf
        raise self._refusal(f"a value must stand in place of {token.text!r:.40}")

    def _number(self, text: str) -> float:
        if len(text) > LONGEST_NUMBER:
            raise self._refusal("a number has too many digits")
        if "x" in text.lower():
            return int(text, 16)
        plain = text.rstrip("fF")
        return int(plain) if re.fullmatch(r"[-+]?[0-9]+", plain) else float(plain)

    def _scan(self) -> Iterator[_Token]:
        position = 0
        while position < len(self._text):
            found = _TOKEN.match(self._text, position)
            if found is None:
                raise ConfigError(
                    f"{self._source}: line {self._line(position)}: nothing of a pipeline.config begins with "
                    f"{self._text[position : position + 20]!r}"
                )
            position = found.end()
            if found.lastgroup != "skip":
                yield _Token(str(found.lastgroup), found.group(), found.start(), found.end())

    def _is(self, mark: str) -> bool:
        return self._next is not None and self._next.kind == "mark" and self._next.text == mark

    def _advance(self) -> _Token:
        token = self._next
        if token is None:
            raise ConfigError(f"{self._source}: ends in the middle of a message")
        self._last_stop = token.stop
        self._next = next(self._tokens, None)
        return token

    def _take(self, kind: str) -> _Token:
        if self._next is not None and self._next.kind != kind:
            raise self._refusal(f"a {kind} must stand in place of {self._next.text!r:.40}")
        return self._advance()

    def _expect(self, mark: str) -> None:
        if not self._is(mark):
            found = "the end" if self._next is None else repr(self._next.text)[:40]
            raise self._refusal(f"`{mark}` must stand in place of {found}")
        self._advance()

    def _line(self, position: int) -> int:
        return self._text.count("\n", 0, position) + 1

    def _refusal(self, message: str) -> ConfigError:
        position = self._next.start if self._next else len(self._text)
        return ConfigError(f"{self._source}: line {self._line(position)}: {message}")


def _plain(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted[1:-1])
