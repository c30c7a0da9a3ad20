"""Reads a YAML 1.2 file that a stranger may have written: plain values only, and bounded work.

Refused are tags (`!!python/object` and every other), keys given twice, aliases that expand to more than `MAX_VALUES`
values, aliases of themselves, files above `MAX_BYTES`. Numbers are those of YAML 1.2, so that `1e-3` is one; dates and
the yes / no / on / off of YAML 1.1 stay text.

    ConfigError (detector.config)
      └─ StudyFileError   a study file or a configuration file that cannot be used
"""

import re
import shlex
from pathlib import Path
from typing import Any

import yaml

from detector.config import ConfigError
from detector.similar_path import did_you_mean

MAX_BYTES = 1_000_000
MAX_VALUES = 20_000  # after aliases are expanded; a whole study file has about 200


class StudyFileError(ConfigError):
    """A study or configuration file that the user must change; one line for each problem."""


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which composes plain values and counts them before it builds anything."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[yaml.Node | None, int] = {}  # of the nodes composed, in values
        self._begun = 0  # nodes; a long list is refused before it is read to its end

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise _refused(f"tags are refused, but there is {event.tag}; write the plain value", event)
        self._begun += 1
        if self._begun > 2 * MAX_VALUES:  # keys are nodes too
            raise _refused(f"at most {MAX_VALUES:,} values are allowed, but there are more", event)
        node = super().compose_node(parent, index)
        if not isinstance(event, yaml.AliasEvent):
            self._sizes[node] = 1 + sum(self._sizes[child] for child in _children(node))
        elif node not in self._sizes:
            raise _refused("an alias contains itself", event)
        if self._sizes[node] > MAX_VALUES:
            count = f"{self._sizes[node]:,} or more"
            raise _refused(f"at most {MAX_VALUES:,} values are allowed, but there are {count} with aliases", event)
        return node


_NUMBER = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", _NUMBER, "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))  # `010` is ten, as in YAML 1.2


Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def read_document(path: Path, *, writer: str = "launch --data DIR") -> dict[str, Any]:
    """The mapping that the YAML file holds; `writer` is the command that would write such a file.

    Raises:
        StudyFileError: it is missing, unreadable, too large, no YAML, no mapping, or holds what is refused.
    """
    return parse_document(_read_text(path, writer), source=str(path))


def parse_document(text: str, source: str) -> dict[str, Any]:
    """The mapping in a YAML text; `source` names it in messages.

    Raises:
        StudyFileError: it is no YAML, no mapping, or holds what is refused.
    """
    try:
        document = yaml.load(text, Loader)
    except StudyFileError as error:
        raise StudyFileError(f"{source}: {error}") from None
    except yaml.YAMLError as error:
        raise StudyFileError(f"{source}: {_describe(error)}") from None
    except (RecursionError, ValueError) as error:  # nested too deep; an integer of thousands of digits
        raise StudyFileError(f"{source}: values this deep or this long are refused ({type(error).__name__})") from None
    if not isinstance(document, dict):
        found = "is empty" if document is None else f"holds a {type(document).__name__}"
        raise StudyFileError(f"{source}: must hold `key: value` lines, but {found}")
    return document


def _read_text(path: Path, writer: str) -> str:
    try:
        if path.is_dir():
            quoted = shlex.quote(str(path))
            raise StudyFileError(f"{path}: is a folder; name a YAML file, or give a folder of data as --data {quoted}")
        if not path.is_file():
            raise StudyFileError(f"{path}: there is no such file{did_you_mean(path)}; `{writer}` writes one")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be read ({error})") from None
    if len(content) > MAX_BYTES:
        raise StudyFileError(
            f"{path}: must be at most {MAX_BYTES:,} bytes, but is larger; `{writer}` writes one, and a file of "
            "annotations is given as --data"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyFileError(
            f"{path}: must be UTF-8 text, but byte {error.start} is not; is it the right file? `{writer}` writes one"
        ) from None


def _describe(error: yaml.YAMLError) -> str:
    """The place and the problem, without PyYAML's excerpt of the line: it could hold a password."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "no valid YAML"
    context = getattr(error, "context", None)
    problem = f"{context}: {problem}" if context else problem
    hint = "; indent with spaces, not tabs" if "'\\t'" in problem else ""
    return f"{where}{problem}{hint}"


def _refused(message: str, place: Any) -> StudyFileError:  # a node or an event of PyYAML
    return StudyFileError(f"line {place.start_mark.line + 1}: {message}")


def _children(node: yaml.Node | None) -> list[yaml.Node]:
    """The values in a node; keys that are no text or given twice are refused."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if not isinstance(node, yaml.MappingNode):
        return []
    seen = set()
    for key, _ in node.value:
        if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
            raise _refused(f"a key must be text, but is {key.value!r}", key)
        if key.value in seen:
            raise _refused(f"key {key.value!r} is given twice; remove one", key)
        seen.add(key.value)
    return [value for _, value in node.value]
