"""YAML of a stranger as a document with places: plain values only, and bounded (search/study/document.py)."""

from collections.abc import Iterator
from typing import Any

import yaml

from detector.config import ConfigError
from search.imports.wish import Span
from search.study.document import Loader, parse_document


def parse_yaml(text: str, source: str) -> tuple[dict[str, Any], dict[str, Span]]:
    """The values, and where each stands, by dotted key.

    Raises:
        StudyFileError: it is no YAML, no mapping, or holds what is refused.
    """
    values = parse_document(text, source)
    try:
        node = Loader(text).get_single_node()
    except (yaml.YAMLError, ConfigError, RecursionError, ValueError):  # it was just read
        return values, {}
    return values, dict(_spans(node, "", 0))


MOST_DEPTH = 20


def _spans(node: Any, prefix: str, depth: int) -> Iterator[tuple[str, Span]]:
    if not isinstance(node, yaml.MappingNode) or depth > MOST_DEPTH:
        return
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        start, stop = value.start_mark, value.end_mark
        yield name, Span(line=key.start_mark.line + 1, start=start.index, stop=stop.index)
        yield from _spans(value, f"{name}.", depth + 1)
