"""A Python configuration as a document, by its syntax tree: literals, `dict(…)` calls, earlier names. Nothing is run.

What only running it would tell stands as `Unreadable` in its place. A statement that changes values (a loop, a call, an
item that is set) makes the whole file unreadable: its values would not be those that the file shows.
"""

import ast
from collections.abc import Mapping
from typing import Any

from detector.config import ConfigError
from search.imports.formats.their_document import Unreadable
from search.imports.wish import Span
from spaces.parameters import is_number

MOST_VALUES = 20_000
LARGEST = 1e15  # of what is calculated
HARMLESS = (ast.Import, ast.ImportFrom, ast.Pass)


def parse_python(text: str, source: str) -> tuple[dict[str, Any], dict[str, Span]]:
    """The values of the names that the file assigns, and where each stands, by dotted key.

    Raises:
        ConfigError: it is no Python, or a program.
    """
    try:
        tree = ast.parse(text)
        return _Reading(text, source).of(tree)
    except SyntaxError as error:
        raise ConfigError(f"{source}: line {error.lineno}: is no Python ({error.msg})") from None
    except (RecursionError, ValueError, MemoryError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{source}: is no configuration that can be read ({type(error).__name__})") from None


class _Reading:
    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._lines = text.encode("utf-8", "replace").split(b"\n")
        self._starts = [0]
        for line in text.split("\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._values: dict[str, Any] = {}
        self._spans: dict[str, Span] = {}
        self._left = MOST_VALUES

    def of(self, tree: ast.Module) -> tuple[dict[str, Any], dict[str, Span]]:
        for statement in tree.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self._assign(name, value)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self._assign(name, value)
                case ast.Expr(value=ast.Constant()):
                    pass
                case _ if not isinstance(statement, HARMLESS):
                    raise ConfigError(
                        f"{self._source}: line {statement.lineno} is a piece of program, and none is run; give the "
                        "flattened copy, which training leaves as work_dirs/NAME/TIME/vis_data/config.py"
                    )
        return self._values, self._spans

    def _assign(self, name: str, value: ast.expr) -> None:
        for key in [key for key in self._spans if key == name or key.startswith((f"{name}.", f"{name}["))]:
            del self._spans[key]
        self._values[name] = self._value(value, name)

    def _value(self, node: ast.expr, key: str) -> Any:
        self._count(1)
        self._spans[key] = self._span(node)
        match node:
            case ast.Constant(value=value):
                return value if isinstance(value, str | int | float) or value is None else Unreadable()
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self._value(item, f"{key}[{number}]") for number, item in enumerate(items)]
            case ast.Dict(keys=keys, values=values):
                return self._mapping(list(zip(keys, values, strict=True)), key)
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
                return self._mapping([(each.arg, each.value) for each in keywords], key)
            case ast.Name(id=name):
                return self._named(name, key)
            case _:
                return self._number(node)

    def _mapping(self, pairs: list[tuple[Any, ast.expr]], key: str) -> Any:
        result = {}
        for name, value in pairs:
            own = name.value if isinstance(name, ast.Constant) else name
            if not isinstance(own, str):  # `**other`, or a key that is no text
                return Unreadable()
            result[own] = self._value(value, f"{key}.{own}")
        return result

    def _named(self, name: str, key: str) -> Any:
        """The value of a name; what lies in it stands where it was assigned."""
        if name not in self._values:
            return Unreadable()
        self._count(_size(self._values[name]))
        inner = {own: span for own, span in self._spans.items() if own.startswith((f"{name}.", f"{name}["))}
        self._spans |= {key + own.removeprefix(name): span for own, span in inner.items()}
        if not isinstance(self._values[name], list | dict):
            self._spans[key] = self._spans[name]
        return self._values[name]

    def _number(self, node: ast.expr) -> Any:
        """What two numbers come to: `0.02 / 8`."""
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)) if is_number(value):
                return -value
            case ast.BinOp(left=ast.Constant(value=left), op=operator, right=ast.Constant(value=right)):
                return _calculated(left, operator, right)
        return Unreadable()

    def _span(self, node: ast.expr) -> Span:
        stop_line = node.end_lineno or node.lineno
        return Span(
            line=node.lineno,
            start=self._offset(node.lineno, node.col_offset),
            stop=self._offset(stop_line, node.end_col_offset or 0),
        )

    def _offset(self, line: int, column: int) -> int:
        """Characters from the beginning; columns of a syntax tree count bytes."""
        if line > len(self._lines):
            return self._starts[-1]
        return self._starts[line - 1] + len(self._lines[line - 1][:column].decode("utf-8", "replace"))

    def _count(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise ConfigError(f"{self._source}: at most {MOST_VALUES:,} values are allowed, but there are more")


def _size(value: Any) -> int:
    children = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else []
    return 1 + sum(map(_size, children))


def _calculated(left: Any, operator: ast.operator, right: Any) -> Any:
    if not (is_number(left) and is_number(right)) or max(abs(left), abs(right)) > LARGEST:
        return Unreadable()
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div() if right:
            return left / right
    return Unreadable()
