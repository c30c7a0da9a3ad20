"""Whether data is what a configuration was found on: the same classes, and whether it has changed since."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from detector.config import require
from search.export.configuration_file import Configuration

if TYPE_CHECKING:
    from detector.data.dataset import Dataset

SHOWN_DIGITS = 12  # of a fingerprint


def load_agreeing(configuration: Configuration, elsewhere: Path | None) -> "tuple[Dataset, Dataset]":
    """Training and validation images of the configuration, or of other data under its settings. Loads no Keras.

    Raises:
        DataError: the data is not there, or cannot be used.
        ConfigError: its classes are not the configuration's, in that order.
    """
    data = configuration.data if elsewhere is None else configuration.data.elsewhere(elsewhere)
    train, validation = data.load(seed=configuration.provenance.study_seed)
    _require_classes(configuration.classes, train.classes)
    return train, validation


def change_of_data(configuration: Configuration, train: "Dataset") -> str | None:
    """A line for a person where the training images are not those that the search had; else None."""
    then, now = configuration.provenance.dataset_fingerprint, train.fingerprint
    if then == now:
        return None
    return (
        f"the data has changed since the search (fingerprint {now[:SHOWN_DIGITS]}, then {then[:SHOWN_DIGITS]}); "
        "what is there now is trained on"
    )


def _require_classes(of_file: tuple[str, ...], of_data: tuple[str, ...]) -> None:
    difference = "the same in another order" if sorted(of_file) == sorted(of_data) else "others"
    require(
        of_file == of_data,
        f"the classes of the configuration and of the data must be equal, but are {difference}: {_listed(of_file)} "
        f"in the configuration, {_listed(of_data)} in the data; name the data that it was found on by --data, or, "
        f"where the data is right, write `classes: {_listed(of_data)}` into the configuration",
    )


def _listed(classes: tuple[str, ...]) -> str:
    """As YAML has a list in one line."""
    return json.dumps(list(classes), ensure_ascii=False)
