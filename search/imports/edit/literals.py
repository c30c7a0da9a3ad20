"""Values as their files write them: YAML, JSON, Python and protobuf's text format."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from search.study.yaml_text import yaml_value

DIGITS = 9  # significant ones: more would show our arithmetic


class Syntax(StrEnum):
    """The languages in which they are written."""

    YAML = "yaml"
    JSON = "json"
    PYTHON = "python"
    PROTOTEXT = "prototext"


def literal(value: Any, syntax: Syntax) -> str:
    """The value on one line; whole numbers without a point."""
    if isinstance(value, bool):
        return str(value) if syntax is Syntax.PYTHON else str(value).lower()
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return _mapping(value, syntax)
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(each, syntax) for each in value)}]"
    if syntax is Syntax.PYTHON or value is None:
        return "null" if syntax is Syntax.JSON else repr(value)
    match syntax:
        case Syntax.YAML:
            return yaml_value(str(value))
        case Syntax.JSON:
            return json.dumps(str(value), ensure_ascii=False)
        case _:
            return f'"{value}"'


def entry(name: str, text: str, syntax: Syntax) -> str:
    """A key with its value, as it stands between others."""
    match syntax:
        case Syntax.PYTHON:
            return f"{name}={text}"
        case Syntax.JSON:
            return f"{json.dumps(name)}: {text}"
        case Syntax.PROTOTEXT if text.startswith("{"):
            return f"{name} {text}"
        case _:
            return f"{name}: {text}"


def nested(names: list[str], text: str, syntax: Syntax) -> str:
    """The value below keys that are not there yet."""
    if not names:
        return text
    inner = entry(names[0], nested(names[1:], text, syntax), syntax)
    return f"dict({inner})" if syntax is Syntax.PYTHON else f"{{{inner}}}"


def _number(value: float) -> str:
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = repr(float(f"{value:.{DIGITS}g}"))
    mantissa, mark, exponent = text.partition("e")  # YAML 1.1 reads `1e-05` as text, but `1.0e-05` as a number
    return f"{mantissa}{'' if '.' in mantissa else '.0'}{mark}{exponent}" if mark else text


def _mapping(value: Mapping[str, Any], syntax: Syntax) -> str:
    inner = ", ".join(entry(name, literal(each, syntax), syntax) for name, each in value.items())
    return f"dict({inner})" if syntax is Syntax.PYTHON else f"{{{inner}}}"
