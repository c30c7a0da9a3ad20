"""A file of trained weights, with all that is needed to use it: canvas, anchors, classes and thresholds."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

from detector.config import ConfigError
from detector.detector_facts import DetectorFacts
from detector.similar_path import did_you_mean

if TYPE_CHECKING:
    from detector.training.trained_detector import TrainedDetector

_LEFT = "`frcnn-search train` leaves weights.safetensors in its --output"
_NEEDED = ("shape", "hyperparameters", "classes")
_FACTS = TypeAdapter(DetectorFacts)


def open_detector(path: Path) -> "TrainedDetector":
    """The detector of a file that `train` wrote.

    Raises:
        ConfigError: there is no such file, or it is another kind of file.
    """
    facts = facts_of(path)  # before Keras is loaded, which takes seconds
    from detector.training.trained_detector import TrainedDetector

    return TrainedDetector(facts, path)


def facts_of(path: Path) -> DetectorFacts:
    """What the file says of its detector. Loads no Keras.

    Raises:
        ConfigError: as `open_detector`.
    """
    stated = _stated(path)
    if missing := [key for key in _NEEDED if key not in stated]:
        raise ConfigError(
            f"{path}: holds weights, but not their {missing[0]}; use a file that `frcnn-search train` wrote"
        )
    try:
        return _FACTS.validate_python({key: stated[key] for key in _NEEDED})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; another version wrote it"
        ) from None


def is_whole_detector(path: Path) -> bool:
    """Whether the file says what it is a detector of; weights of a backbone alone do not.

    Raises:
        ConfigError: there is no such file, or it is no safetensors file.
    """
    return _stated(path).keys() >= set(_NEEDED)


def _stated(path: Path) -> dict[str, Any]:
    """What stands beside the values."""
    if not path.is_file():
        found = "is a folder; name a file in it" if path.is_dir() else f"there is no such file{did_you_mean(path)}"
        raise ConfigError(f"{path}: {found}; {_LEFT}")
    try:
        with safe_open(path, framework="np") as file:
            return {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not a safetensors file of weights ({error}); {_LEFT}") from error
