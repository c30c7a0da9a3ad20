"""What the folder of a full training is of: `training.json`. Another training is refused the folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.config import require
from search.training.json_file import read_object, replace_object

AGREEMENT_FILE = "training.json"
#: Where the data lies, for how long is trained, and where another length was agreed on: none makes another training.
FREE = ("data", "images", "continued_after")


def agreed(folder: Path) -> dict[str, Any] | None:
    """What is trained in the folder, or None where nothing is.

    Raises:
        ConfigError: another program wrote the file, or it cannot be read.
    """
    return read_object(folder / AGREEMENT_FILE)


def refuse_another(folder: Path, facts: Mapping[str, Any]) -> None:
    """Raise `ConfigError` if the folder is another training's; what is not among the facts may be anything."""
    stored, wanted = agreed(folder) or {}, plain(facts)
    different = [name for name in wanted if name not in FREE and stored.get(name, wanted[name]) != wanted[name]]
    require(
        not different,
        f"{folder} holds another training (another {', '.join(different)}); choose another --output",
    )


def agree(folder: Path, facts: Mapping[str, Any]) -> None:
    """Make the folder this training's.

    Raises:
        ConfigError: it is another training's, or cannot be written.
    """
    refuse_another(folder, facts)
    if agreed(folder) != plain(facts):
        replace_object(folder / AGREEMENT_FILE, plain(facts))


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as JSON gives them back."""
    return dict(json.loads(json.dumps(facts, default=str)))
