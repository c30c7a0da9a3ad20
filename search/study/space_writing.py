"""Puts what the doctor proposes into a study file, and leaves everything else in it as it stands."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from detector.config import ConfigError
from search.study.document import parse_document
from search.study.study_file import load_study_file, study_from
from search.study.study_text import parameter_line, setting_line
from search.study.yaml_text import write_text, yaml_value
from spaces.parameters import Parameter
from spaces.section import write_parameter


def write_space(file: Path, parameters: dict[str, Parameter], counts: dict[str, int]) -> None:
    """Set the parameters in the file's space section and the counts in its detector section.

    All other text stays, every comment included, whether a section is written line by line or in braces. The result is
    read back before it replaces the file, so that a file that this cannot change is refused, never spoiled.

    Raises:
        ConfigError: the file is none, or the result would say something else; nothing was written then.
    """
    before = load_study_file(file)
    space = {name: write_parameter(parameter) for name, parameter in parameters.items()}
    try:
        text = file.read_bytes().decode("utf-8-sig").removesuffix("\n") + "\n"
        changed = _with_settings(_with_settings(text, "space", space), "detector", counts)
        after = study_from(parse_document(changed, str(file)), file)
        larger = replace(before.detector, **counts)  # type: ignore[arg-type]  # the keys are those of counts
        same = after == replace(before, space=before.space.replaced(parameters), detector=larger)
    except (ConfigError, yaml.YAMLError):
        same = False
    if not same:
        raise ConfigError(
            f"{file}: the sections space and detector must hold plain settings, without aliases, to be changed by a "
            "program; put the proposed lines in by hand"
        )
    write_text(file, changed)


def _with_settings(text: str, section: str, settings: dict[str, Any]) -> str:
    """The text of a study file with these settings in a section, which is added if it is missing."""
    root: Any = yaml.compose(text, yaml.SafeLoader)
    node = next((value for key, value in root.value if key.value == section), None)
    if not settings:
        return text
    if node is None and not root.flow_style:
        return _with_settings(f"{text.rstrip()}\n\n{section}:\n", section, settings)
    edits = _edits(text, section, node, settings) if node else [_behind_the_brace(root, {section: settings})]
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
        write = parameter_line if section == "space" else partial(setting_line, section)
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
