"""Reads one large JSON object piece by piece: members in their order, lists element by element.

A COCO file of 1 GB is mostly outlines that a detector never looks at; as one Python object it takes 7.6 GB. Here each
element is decoded by itself, with Python's own decoder, and nothing is kept (docs/decisions/0014).
"""

import codecs
import hashlib
import json
from collections.abc import Iterator
from json.decoder import WHITESPACE  # type: ignore[attr-defined]  # where the decoder itself has it from
from typing import Any, BinaryIO

PIECE_BYTES = 1 << 20
_NEAR_THE_END = 16  # characters: a literal such as -Infinity, or a number's exponent, may go on in the next piece


class NoObject(Exception):
    """A file holds something else than one object; the message names its Python type."""


class JsonStream:
    """One file with one JSON object. May be read once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._decode_bytes = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._decode = json.JSONDecoder().raw_decode
        self._text = ""
        self._at = 0  # position in the text
        self._lines, self._columns = 0, 0  # of what was read before the text
        self._ended = False

    @property
    def digest(self) -> str:
        """sha256 of the bytes read so far: of the file, after `members`."""
        return self._hash.hexdigest()

    def members(self) -> Iterator[tuple[str, Any]]:
        """Each key with its value; a list is an iterator over its elements, to be used before the next key.

        Raises:
            json.JSONDecodeError: not JSON; line and column are those of the file.
            ValueError: not UTF-8, or a number of thousands of digits.
            RecursionError: nested too deeply.
            NoObject: JSON of another kind.
        """
        if self._peek() != "{":
            kind = "list" if self._peek() == "[" else type(self._value()).__name__
            raise NoObject(kind)
        self._at += 1
        for _ in self._separated("}"):
            if self._peek() != '"':
                raise self._error("Expecting property name enclosed in double quotes")
            key = self._value()
            self._expect(":", "Expecting ':' delimiter")
            if self._peek() == "[":
                self._at += 1
                elements = (self._value() for _ in self._separated("]"))
                yield key, elements
                for _ in elements:  # whatever was left
                    pass
            else:
                yield key, self._value()
        if self._peek():
            raise self._error("Extra data")

    def _separated(self, end: str) -> Iterator[None]:
        """Stands before each element up to the bracket `end`, and behind it afterwards."""
        if self._peek() == end:
            self._at += 1
            return
        while True:
            yield
            if self._peek() == end:
                self._at += 1
                return
            self._expect(",", "Expecting ',' delimiter")

    def _expect(self, mark: str, problem: str) -> None:
        if self._peek() != mark:
            raise self._error(problem)
        self._at += 1

    def _peek(self) -> str:
        """The next character that is no white space; empty at the end of the file."""
        while True:
            self._at = WHITESPACE.match(self._text, self._at).end()
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut_off = error.msg.startswith("Unterminated") or error.pos >= len(self._text) - _NEAR_THE_END
                if not (cut_off and self._more()):
                    raise self._error(error.msg, error.pos) from None
            else:
                if end < len(self._text) - _NEAR_THE_END or not self._more():
                    self._at = end
                    return value

    def _more(self) -> bool:
        """Read on, and forget what was passed; as much again as there is, so that a long value is not read in vain."""
        if self._ended:
            return False
        passed, kept = self._text[: self._at], self._text[self._at :]
        self._lines += passed.count("\n")
        self._columns = len(passed) - passed.rfind("\n") - 1 if "\n" in passed else self._columns + len(passed)
        piece = self._file.read(max(PIECE_BYTES, len(kept)))
        self._ended = not piece
        self._hash.update(piece)
        self._text, self._at = kept + self._decode_bytes(piece, final=self._ended), 0
        return True

    def _error(self, problem: str, position: int | None = None) -> json.JSONDecodeError:
        """The error with its place in the file."""
        error = json.JSONDecodeError(problem, self._text, self._at if position is None else position)
        if error.lineno == 1:
            error.colno += self._columns
        error.lineno += self._lines
        return error
