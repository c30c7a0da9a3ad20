"""Which libraries a test module may load, itself or by what it imports: read from the sources, nothing is imported."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def reached(module: Path) -> frozenset[str]:
    """The names of all packages outside of this repository: those that the module imports anywhere, and those that
    the modules of ours which it needs import at their top."""
    outside, ours = _divided(imports(module, everywhere=True))
    seen = set(ours)
    while ours:
        libraries, needed = _divided(name for file in ours for name in imports(file, everywhere=False))
        outside |= libraries
        ours = needed - seen
        seen |= ours
    return frozenset(outside)


@cache
def imports(file: Path, *, everywhere: bool) -> frozenset[str]:
    """Dotted names in the file's import statements: all, or those that run when it is imported."""
    tree = ast.parse(file.read_bytes())
    nodes = ast.walk(tree) if everywhere else _at_top(tree.body)
    return frozenset(name for node in nodes for name in _names(node))


def _at_top(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler | ast.ClassDef):
            yield from _at_top(ast.iter_child_nodes(node))


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _divided(names: Iterable[str]) -> tuple[set[str], set[Path]]:
    """Packages of others, and files of ours."""
    outside, ours = set(), set()
    for name in names:
        file = ROOT / Path(*name.split(".")).with_suffix(".py")
        if file.is_file():
            ours.add(file)
        elif not (ROOT / name.partition(".")[0]).is_dir():
            outside.add(name.partition(".")[0])
    return outside, ours
