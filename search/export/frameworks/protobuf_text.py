"""Nested values as protobuf's text format: a mapping is a message, a list a repeated field."""

from collections.abc import Iterator, Mapping, Sequence


class Name(str):
    """The name of an enumeration's value, which stands without quotes."""

    __slots__ = ()


def protobuf_text(message: Mapping[str, object]) -> str:
    """The message, a field a line."""
    return "".join(f"{line}\n" for line in _lines(message, ""))


def quoted(text: str) -> str:
    """The text as a string of protobuf: UTF-8, in which all but plain ASCII is escaped; half a character is spelt."""
    codes = text.encode("utf-8", errors="backslashreplace")
    return '"' + "".join(chr(code) if _is_plain(code) else f"\\{code:03o}" for code in codes) + '"'


def _is_plain(code: int) -> bool:
    return 32 <= code < 127 and chr(code) not in "\"'\\"


def _lines(message: Mapping[str, object], indent: str) -> Iterator[str]:
    for name, value in message.items():
        for each in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
            if isinstance(each, Mapping):
                yield f"{indent}{name} {{"
                yield from _lines(each, indent + "  ")
                yield f"{indent}}}"
            else:
                yield f"{indent}{name}: {_scalar(each)}"


def _scalar(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Name():
            return str(value)
        case str():
            return quoted(value)
        case _:
            return repr(value)
