"""A JSON object in a file of a training's folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.config import ConfigError, require
from detector.json_text import read_json
from detector.whole_file import write_whole


def read_object(file: Path) -> dict[str, Any] | None:
    """The JSON object in the file, or None where there is no file.

    Raises:
        ConfigError: the file holds anything else, or cannot be read.
    """
    try:
        content = read_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read ({error}); choose another --output") from error
    require(isinstance(content, dict), f"{file} must hold a JSON object, but does not; choose another --output")
    return dict(content)


def replace_object(file: Path, content: Mapping[str, Any]) -> None:
    """Write the JSON object in place of what the file held.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        write_whole(file, json.dumps(content, indent=2))
    except OSError as error:
        raise ConfigError(f"{file} cannot be written ({error.strerror}); choose another --output") from error
