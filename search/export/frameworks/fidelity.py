"""How much of a configuration a file of another framework says: exactly, approximately, or not at all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from detector.config import Anchors, Augmentation, Detector, Hyperparameters
from search.export.configuration_file import Configuration


class Level(StrEnum):
    """Whether the framework's file means what ours does."""

    EXACT = "exact"
    APPROXIMATE = "approximate"
    NOT_EXPRESSED = "not expressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What became of one value."""

    level: Level
    text: str = ""  # how it is approximated; what holds in place of it

    def __str__(self) -> str:
        return f"{self.level}: {self.text}" if self.text else str(self.level)


Fidelity = Mapping[str, Note]  # by key, every key
EXACT = Note(level=Level.EXACT)


def approximate(how: str) -> Note:
    """The note of a value that means nearly the same."""
    return Note(level=Level.APPROXIMATE, text=how)


def not_expressed(instead: str) -> Note:
    """The note of a value that the file cannot hold."""
    return Note(level=Level.NOT_EXPRESSED, text=instead)


def exact(keys: Iterable[str]) -> dict[str, Note]:
    """The same for several."""
    return dict.fromkeys(keys, EXACT)


def unless(holds: bool, note: Note) -> Note:
    """The note, unless the value happens to be what the framework does anyway."""
    return EXACT if holds else note


def values_of(configuration: Configuration) -> dict[str, object]:
    """Every value that a framework may or may not express, by its key; the keys of every fidelity."""
    hyperparameters = configuration.hyperparameters
    parts: dict[str, Anchors | Augmentation] = {
        "anchors": hyperparameters.anchors,
        "augmentation": hyperparameters.augmentation,
    }
    found: dict[str, object] = {}
    for field in fields(Hyperparameters):
        if (part := parts.get(field.name)) is None:
            found[field.name] = getattr(hyperparameters, field.name)
        else:
            found |= {f"{field.name}.{inner.name}": getattr(part, inner.name) for inner in fields(part)}
    return found | {f"detector.{field.name}": getattr(configuration.detector, field.name) for field in fields(Detector)}


AUGMENTATION_KEYS = tuple(f"augmentation.{field.name}" for field in fields(Augmentation))
