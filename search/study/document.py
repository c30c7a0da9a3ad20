"""Reads a YAML file that a stranger may have written: plain values only, and bounded work.

Refused are tags (`!!python/object` and every other), keys given twice, aliases that expand to more than `MAX_VALUES`
values, aliases of themselves, files above `MAX_BYTES`. Numbers are those of YAML 1.2, so that `1e-3` is one; dates and
the yes / no / on / off of YAML 1.1 stay text.

    ConfigError (detector.config)
      └─ StudyFileError   a study file or a configuration file that cannot be used
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from detector.config import ConfigError

MAX_BYTES = 1_000_000
MAX_VALUES = 20_000  # after aliases are expanded; a whole study file has about 200


class StudyFileError(ConfigError):
    """A study or configuration file that the user must change; one line for each problem."""


class _Refused(Exception):
    """A construct that PyYAML would accept and we do not."""

    def __init__(self, message: str, place: Any) -> None:  # a node or an event of PyYAML
        super().__init__(f"line {place.start_mark.line + 1}: {message}")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without tags."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise _Refused(f"tags are refused, but there is {event.tag}; write the plain value", event)
        return super().compose_node(parent, index)


_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_RESOLVERS = (
    ("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), "tTfF"),
    ("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+"), "-+0123456789"),
    ("tag:yaml.org,2002:float", _NUMBER, "-+.0123456789"),
    ("tag:yaml.org,2002:null", re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:merge", re.compile(r"<<"), "<"),
)
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _RESOLVERS:
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern.pattern})$"), list(_first))


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))  # `010` is ten, as in YAML 1.2


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def read_document(path: Path, *, writer: str = "launch --data DIR") -> dict[str, Any]:
    """The mapping that the YAML file holds.

    Raises:
        StudyFileError: it is missing, unreadable, too large, no YAML, no mapping, or holds what is refused.
    """
    return parse_document(_read_text(path, writer), source=str(path))


def parse_document(text: str, source: str) -> dict[str, Any]:
    """The mapping in a YAML text; `source` names it in messages."""
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        _check_nodes(root)
        document = loader.construct_document(root) if root is not None else None
    except _Refused as error:
        raise StudyFileError(f"{source}: {error}") from None
    except yaml.YAMLError as error:
        raise StudyFileError(f"{source}: {_describe(error)}") from None
    except (RecursionError, ValueError) as error:  # nested too deep; an integer of thousands of digits
        raise StudyFileError(f"{source}: values this deep or this long are refused ({type(error).__name__})") from None
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(document, dict):
        found = "is empty" if document is None else f"holds a {type(document).__name__}"
        raise StudyFileError(f"{source}: must hold `key: value` lines, but {found}")
    return document


def _read_text(path: Path, writer: str) -> str:
    try:
        if path.is_dir():
            raise StudyFileError(f"{path}: is a folder; give the YAML file, or use --data for a dataset")
        if not path.is_file():
            raise StudyFileError(f"{path}: there is no such file; `{writer}` writes one")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # a path that holds NUL is a ValueError
        if isinstance(error, StudyFileError):
            raise
        raise StudyFileError(f"{path}: cannot be read ({error})") from None
    if len(content) > MAX_BYTES:
        raise StudyFileError(f"{path}: must be at most {MAX_BYTES:,} bytes, but is larger; is it the right file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyFileError(
            f"{path}: must be UTF-8 text, but byte {error.start} is not; is it the right file?"
        ) from None


def _describe(error: yaml.YAMLError) -> str:
    """Where and what, without PyYAML's excerpt of the line: it could hold a password."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "no valid YAML"
    context = getattr(error, "context", None)
    problem = f"{context}: {problem}" if context else problem
    hint = "; indent with spaces, not tabs" if "'\\t'" in problem else ""
    return f"{where}{problem}{hint}"


def _check_nodes(root: yaml.Node | None) -> None:
    """Refuse double keys, and a document whose aliases expand beyond the cap."""
    sizes: dict[int, int] = {}  # of the nodes done; a node is reached once, however many aliases name it
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            raise _Refused("an alias contains itself", node)
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = 1 + sum(size(child) for child in _children(node))
            open_nodes.remove(id(node))
        return sizes[id(node)]

    if root is not None and size(root) > MAX_VALUES:
        raise _Refused(f"at most {MAX_VALUES:,} values are allowed, but there are {size(root):,} with aliases", root)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if not isinstance(node, yaml.MappingNode):
        return []
    seen: set[Hashable] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
            raise _Refused(f"a key must be text, but is {getattr(key, 'value', key)!r}", key)
        if key.value in seen:
            raise _Refused(f"key {key.value!r} is given twice; remove one", key)
        seen.add(key.value)
    return [value for _, value in node.value]
