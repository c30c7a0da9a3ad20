"""The `detector` section: what the user says of the network, before its canvas is known."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator

from detector.config import (
    MOST_CANVAS_PX,
    WEIGHTS_CHOICES,
    Canvas,
    ConfigError,
    Detector,
    DetectorSettings,
    NamedWeights,
    require,
)
from search.study.canvas import parse_canvas
from search.study.fields import write_auto

KNOWN_WEIGHTS = tuple(map(str, NamedWeights))  # anything else is a file


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSection(DetectorSettings):
    """The detector before its canvas is known. In the file, `auto` stands for every None."""

    canvas: Annotated[
        Canvas | None,
        PlainValidator(lambda value: None if value is None else parse_canvas(value)),
        PlainSerializer(str, when_used="unless-none"),
    ] = None
    long_side_px: Annotated[int, Field(ge=32, le=MOST_CANVAS_PX)] | None = None  # of an automatic canvas

    def __post_init__(self) -> None:
        DetectorSettings.__post_init__(self)
        known = self.weights in KNOWN_WEIGHTS or (bool(Path(self.weights).suffix) and "\0" not in self.weights)
        require(known, f"weights must be {WEIGHTS_CHOICES} such as weights.h5, but is {self.weights!r}")

    def detector(self) -> Detector:
        """The detector's own configuration.

        Raises:
            ConfigError: the canvas is still `auto`.
        """
        if self.canvas is None:
            raise ConfigError("detector.canvas is auto, but no data was looked at; set it, such as 256x320")
        return Detector(**{setting.name: getattr(self, setting.name) for setting in fields(Detector)})


def none_for_auto(section: object) -> object:
    """The section as a file has it, with None in place of `auto`."""
    if not isinstance(section, dict):
        return section
    automatic = {setting.name for setting in fields(DetectorSection) if setting.default is None}
    return {key: None if key in automatic and value == "auto" else value for key, value in section.items()}


def auto_for_none(section: DetectorSection, write: Callable[[DetectorSection], dict[str, Any]]) -> dict[str, Any]:
    """The section as a file has it."""
    return {key: write_auto(value) for key, value in write(section).items()}
