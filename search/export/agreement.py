"""What the folder of a full training is of: `training.json`. Another training is refused the folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.config import require
from search.export.json_file import read_object, replace_object

AGREEMENT_FILE = "training.json"
FREE = ("data", "images")  # where the data lies, and how long is trained: neither makes another training


def agreed(folder: Path) -> dict[str, Any] | None:
    """What is trained in the folder, or None where nothing is.

    Raises:
        ConfigError: another program wrote the file, or it cannot be read.
    """
    return read_object(folder / AGREEMENT_FILE)


def agree(folder: Path, facts: Mapping[str, Any]) -> None:
    """Make the folder this training's.

    Raises:
        ConfigError: it is another training's, or cannot be written.
    """
    stored, wanted = agreed(folder), plain(facts)
    if stored is not None:
        different = [name for name in wanted if name not in FREE and stored.get(name, wanted[name]) != wanted[name]]
        require(
            not different,
            f"{folder} holds another training (another {', '.join(different)}); choose another --output",
        )
    if stored != wanted:
        replace_object(folder / AGREEMENT_FILE, wanted)


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as JSON gives them back."""
    return dict(json.loads(json.dumps(facts, default=str)))
