"""The study file's section `imported`: the configuration of another framework that trial 0 trains as it is."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from detector.config import Hyperparameters
from search.study.fields import STRICT

Name = Annotated[str, Field(min_length=1, max_length=300)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedKey:
    """Where a value of trial 0 stood in their file."""

    key: Name
    line: int | None = None  # None: their framework's own value
    value: str = ""  # as a person reads it


#: A number, text, or lists of them.
MendValue = bool | int | float | str | tuple[str, ...] | tuple[float, ...] | tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedMend:
    """A value that `export --onto` writes into their file, for what was found in it has one that is right."""

    finding: Name
    wish: Name  # the field of `search.imports.imported.Imported`
    value: MendValue


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSection:
    """What trial 0 trains; the space doesn't bind it."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    file: Name  # without its folder
    framework: Name
    hyperparameters: Hyperparameters
    gpus: Annotated[int, Field(ge=1)] = 1  # on which it was said to train
    images: Annotated[int, Field(ge=1)] = 1  # of the training data, of which its epochs are
    scale: Annotated[float, Field(gt=0)] = 1.0  # of images on the study's canvas, in those of its training
    findings: tuple[str, ...] = ()  # what was wrong with the file before any training, the worst first
    mends: tuple[ImportedMend, ...] = ()  # of these findings, those of one finding together
    keys: dict[str, ImportedKey] = field(default_factory=dict)  # by the parameter's name in the space

    def __str__(self) -> str:
        return f"{self.file} ({self.framework})"
