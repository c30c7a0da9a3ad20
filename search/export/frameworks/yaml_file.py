"""Nested values as YAML for loaders of YAML 1.1, to which 1e-05 is a text and 1.0e-05 a number."""

from collections.abc import Mapping
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Never an alias: two lists that are one here are two there."""

    def ignore_aliases(self, data: object) -> bool:
        """Always."""
        return True


_Dumper.add_multi_representer(str, lambda dumper, text: dumper.represent_str(str(text)))  # of a StrEnum
_Dumper.add_representer(tuple, lambda dumper, values: dumper.represent_list(values))


def yaml_file(document: Mapping[str, Any]) -> str:
    """One key a line, but the innermost lists on one line each."""
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )
    return text
