"""Plain values as YAML that `document.parse_document` reads back as the same values, and its files."""

import re
from pathlib import Path
from typing import Any

import yaml

from detector.whole_file import write_whole
from search.study.document import Loader, StudyFileError

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./:-]*")


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes all text that is not plain beyond doubt."""

    yaml_implicit_resolvers = Loader.yaml_implicit_resolvers


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if _PLAIN.fullmatch(text) else '"')


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", repr(value)))


def yaml_lines(document: dict[str, Any]) -> str:
    """One key a line, but the innermost lists and mappings on one line each."""
    return _dumped(document, default_flow_style=None, width=100)


def yaml_value(value: object) -> str:
    """The value on one line, as it stands behind a key."""
    return _dumped(value, default_flow_style=True, width=2**20).removesuffix("...\n").rstrip("\n")


def write_text(path: Path, text: str) -> None:
    """Write the file whole, in place of what there was.

    Raises:
        StudyFileError: the folder cannot be written.
    """
    try:
        write_whole(path, text)
    except OSError as error:
        raise StudyFileError(
            f"{path}: cannot be written ({error.strerror or error}); name a file in a folder of yours"
        ) from None


def _dumped(value: object, **style: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **style)
    return text
