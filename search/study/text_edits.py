"""Changes to the text of a study file that leave all else as it stands, every comment included."""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import yaml

from search.study.study_text import key_line, parameter_line, setting_line
from search.study.yaml_text import yaml_value


def with_settings(text: str, section: str, settings: dict[str, Any]) -> str:
    """The text of a study file with these settings in a section, which is added if it is missing."""
    root: Any = yaml.compose(text, yaml.SafeLoader)
    node = next((value for key, value in root.value if key.value == section), None)
    if not settings:
        return text
    if node is None and not root.flow_style:
        return with_settings(f"{text.rstrip()}\n\n{section}:\n", section, settings)
    edits = _edits(text, section, node, settings) if node else [_behind_the_brace(root, {section: settings})]
    return _edited(text, edits)


def with_keys(text: str, settings: dict[str, Any]) -> str:
    """The text with these keys beside the sections."""
    return _edited(text, _edits(text, "", yaml.compose(text, yaml.SafeLoader), settings))


def _edited(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
    for start, end, piece in sorted(edits, reverse=True):
        text = text[:start] + piece + text[end:]
    return text


def _edits(text: str, section: str, node: Any, settings: dict[str, Any]) -> Iterator[tuple[int, int, str]]:
    """The start, the end and the new text of each part to change, by the marks of PyYAML's nodes."""
    old = {key.value: (key, value) for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    new = {key: value for key, value in settings.items() if key not in old}
    in_braces = getattr(node, "flow_style", False)
    for key in settings.keys() & old.keys():
        start, end = old[key][0].end_mark.index, _end(old[key][1])
        comments = re.findall(r"(?<=\s)#.*", text[start:end])
        newline = "\n" if comments and in_braces else ""
        yield start, end, "  ".join([f": {yaml_value(settings[key])}", *comments]) + newline
    if new and in_braces:
        yield _behind_the_brace(node, new)
    elif new:
        first = node.value[0][0].start_mark if old else None
        at = first.index - first.column if first else text.index("\n", node.end_mark.index) + 1
        write = _LINES.get(section) or partial(setting_line, section)
        lines = (" " * (first.column if first else 2) + write(key, value).strip() for key, value in new.items())
        yield at, at, "".join(f"{line}\n" for line in lines)


def _behind_the_brace(node: Any, settings: dict[str, Any]) -> tuple[int, int, str]:
    at = node.start_mark.index + 1
    return at, at, yaml_value(settings)[1:-1] + (", " if node.value else "")


def _end(node: Any) -> int:
    """The end of the node's last value; the mark of a block lies behind the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return node.end_mark.index


_LINES = {"": key_line, "space": parameter_line}
