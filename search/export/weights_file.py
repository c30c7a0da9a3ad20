"""A file of trained weights, with all that is needed to use it: canvas, anchors, classes and thresholds."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from detector.config import ConfigError

if TYPE_CHECKING:
    from detector.training.trained_detector import TrainedDetector

_NEEDED = ("shape", "hyperparameters", "classes")


def open_detector(path: Path) -> "TrainedDetector":
    """The detector of a file that `train` wrote.

    Raises:
        ConfigError: there is no such file, or it is another kind of file.
    """
    if not path.is_file():
        raise ConfigError(
            f"{path}: there is no such file; `frcnn-search train` leaves weights.safetensors in its --output"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # of TensorFlow, which is about to be loaded: errors only
    from detector.network.weights import read_facts
    from detector.training.trained_detector import DetectorFacts, TrainedDetector

    stated = read_facts(path)
    if missing := [key for key in _NEEDED if key not in stated]:
        raise ConfigError(
            f"{path}: holds weights, but not their {missing[0]}; use a file that `frcnn-search train` wrote"
        )
    try:
        facts = TypeAdapter(DetectorFacts).validate_python({key: stated[key] for key in _NEEDED})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; another version wrote it"
        ) from None
    return TrainedDetector(facts, path)
