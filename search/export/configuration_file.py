"""The exported configuration: everything that a full training of one trial needs, and where it came from.

YAML with the sections `hyperparameters`, `detector`, `classes`, `data` and `provenance`. The database's URL is in none
of them.
"""

import os
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from detector.config import Detector, Hyperparameters, require
from search.study.data_section import Data
from search.study.document import read_document
from search.study.fields import STRICT
from search.study.problems import validate
from search.study.yaml_text import write_text, yaml_lines

_HEAD = "# Written by `frcnn-search export`; train it with `frcnn-search train THIS_FILE --images N`.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Which trial of which study this was, what it reached, and what it ran on."""

    study: str
    trial: int
    ap: float  # COCO AP at IoU .50:.95 on the validation data, in [0, 1]
    images: int  # seen when it was evaluated: the rung of that AP
    budget_images: int  # the schedule's whole length, of which decay boundaries are fractions
    seed: int  # of this trial's training
    code_version: str
    dataset_fingerprint: str
    exported_at: str  # ISO 8601, UTC
    study_seed: int = 0  # of the split of the data and of the initial backbone
    anchor_slots: int = 0  # of the study's RPN head; with as many, the same seed draws the same head
    ap_error: float | None = None  # standard error of the AP; None where it is unknown
    packages: dict[str, str] = field(default_factory=dict)  # name: version


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One configuration, complete. Boxes and canvas are in pixels, ratios are height / width."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    hyperparameters: Hyperparameters
    detector: Detector
    classes: tuple[str, ...]
    data: Data
    provenance: Provenance

    def __post_init__(self) -> None:
        require(bool(self.classes), "classes must name at least one class")
        require(len(set(self.classes)) == len(self.classes), f"classes must differ, but are {list(self.classes)}")
        micro_batch, batch_size = self.detector.micro_batch, self.hyperparameters.batch_size
        require(
            micro_batch is None or batch_size % micro_batch == 0,
            f"detector.micro_batch ({micro_batch}) must divide hyperparameters.batch_size ({batch_size})",
        )


ADAPTER: TypeAdapter[Configuration] = TypeAdapter(Configuration)


def write_configuration(path: Path, configuration: Configuration) -> None:
    """Write the file; who reads it meanwhile sees the old one or the new one, whole.

    Raises:
        StudyFileError: the folder cannot be written.
    """
    write_text(path, _HEAD + yaml_lines(ADAPTER.dump_python(configuration, mode="json")))


def read_configuration(path: Path) -> Configuration:
    """The configuration in the file; paths of its data are relative to its folder, and absolute in the result.

    Raises:
        StudyFileError: one line for each problem, with where it is, the rule and the value.
    """
    document = read_document(path, writer="export")
    require(
        "hyperparameters" in document or not {"data", "space", "budget", "storage"} & document.keys(),
        f"{path} is a study file; export a configuration of the study first: "
        f"frcnn-search export {shlex.quote(str(path))} --output best.yaml",
    )
    configuration = validate(ADAPTER, Configuration, document, str(path))
    folder = Path(os.path.abspath(path)).parent
    return replace(configuration, data=configuration.data.absolute(folder))
