"""Plain values as Python source: calls with keywords, literals by `repr`, one line where it fits."""

from collections.abc import Mapping

_WIDTH = 100


def call(name: str, values: Mapping[str, object], *, indent: str = "") -> str:
    """`name(key=value, …)`; a mapping among the values is a call of dict."""
    inner = indent + "    "
    pairs = [f"{key}={literal(value, indent=inner)}" for key, value in values.items()]
    return _joined(f"{name}(", pairs, ")", indent)


def literal(value: object, *, indent: str = "") -> str:
    """The value as it is written in Python."""
    inner = indent + "    "
    match value:
        case Mapping():
            return call("dict", value, indent=indent)
        case list():
            return _joined("[", [literal(each, indent=inner) for each in value], "]", indent)
        case tuple():
            parts = [literal(each, indent=inner) for each in value]
            return _joined("(", parts, ",)" if len(parts) == 1 else ")", indent)
        case str():
            return repr(str(value))  # of a StrEnum, the text alone
        case _:
            return repr(value)


def _joined(start: str, parts: list[str], end: str, indent: str) -> str:
    line = start + ", ".join(parts) + end
    if len(indent) + len(line) <= _WIDTH and "\n" not in line:
        return line
    return start + "".join(f"\n{indent}    {part}," for part in parts) + f"\n{indent}{end.removeprefix(',')}"
