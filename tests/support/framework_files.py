"""Small readers of exported files, by which tests compute anchors and rates anew, without any framework."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

Levels = Sequence[Sequence[tuple[float, float]]]  # height and width of each anchor of a cell, by level
STRIDES_PX = (4, 8, 16, 32, 64)


def grid(levels: Levels, canvas: tuple[int, int], offset: float = 0.5) -> np.ndarray:
    """All anchors [N, 4], yxyx, around the middles of the cells of P2 to P6."""
    rows = []
    for sides, stride in zip(levels, STRIDES_PX, strict=True):
        for y in range(-(-canvas[0] // stride)):
            for x in range(-(-canvas[1] // stride)):
                cy, cx = (y + offset) * stride, (x + offset) * stride
                rows += [(cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2) for h, w in sides]
    return np.array(rows)


def python_values(text: str) -> dict[str, Any]:
    """What a file of assignments says; calls become dictionaries with their name under `of`, but for dict itself."""
    return {
        node.targets[0].id: _value(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _is_plain(node.value)
    }


def _is_plain(node: ast.expr) -> bool:
    return not any(isinstance(each, ast.BinOp | ast.Attribute | ast.Subscript) for each in ast.walk(node))


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        found = {each.arg: _value(each.value) for each in node.keywords}
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        return found if name == "dict" else {"of": name, **found}
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(each) for each in node.elts]
    return ast.literal_eval(node)


def protobuf_values(text: str) -> dict[str, Any]:
    """Protobuf's text format as lists of values by field, all of them repeated; strings are bytes."""
    tokens = iter(re.findall(r'"(?:\\.|[^"\\])*"|[{}:]|[^\s{}:]+', re.sub(r"(?m)^\s*#.*$", "", text)))
    return _message(tokens)


def _message(tokens: Iterator[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in tokens:
        if name == "}":
            return found
        opening = next(tokens)
        found.setdefault(name, []).append(_message(tokens) if opening == "{" else _scalar(next(tokens)))
    return found


def _scalar(token: str) -> Any:
    if token.startswith('"'):
        return ast.literal_eval("b" + token)
    try:
        return ast.literal_eval(token)
    except (ValueError, SyntaxError):
        return token


def stepped(peak: float, starts: Sequence[int], rates: Sequence[float]) -> Callable[[int], float]:
    """A rate that holds from each start on."""

    def rate(iteration: int) -> float:
        return [peak, *rates][sum(iteration >= start for start in starts)]

    return rate


def warmed(rate: Callable[[int], float], start: float, iterations: float) -> Callable[[int], float]:
    """The rate after a linear warm-up from this rate on."""

    def warmed_rate(iteration: int) -> float:
        if iteration >= iterations:
            return rate(iteration)
        return start + (rate(iteration) - start) * iteration / iterations

    return warmed_rate
