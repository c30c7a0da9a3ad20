"""From where training begins, as far as ranges and first trials hang on it: from nothing, a backbone or a detector."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from detector.config import ConfigError, NamedWeights
from detector.weight_files.found_weights import AnchorLayout
from detector.weight_files.opening import open_weights


class Given(StrEnum):
    """What of a detector is trained already."""

    NOTHING = "nothing"
    BACKBONE = "backbone"
    DETECTOR = "detector"  # pyramid and heads, too


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingPoint:
    """What weights give, and how many anchors a cell has in a detector that is given."""

    given: Given
    anchors: AnchorLayout | None = None

    @property
    def from_scratch(self) -> bool:
        """Whether every value is drawn."""
        return self.given is Given.NOTHING

    @property
    def fine_tunes(self) -> bool:
        """Whether a whole detector is trained further."""
        return self.given is Given.DETECTOR


SCRATCH, BACKBONE = (StartingPoint(given=given) for given in (Given.NOTHING, Given.BACKBONE))
NAMED = {
    NamedWeights.COCO: StartingPoint(given=Given.DETECTOR, anchors=AnchorLayout(sizes=1, ratios=3)),
    NamedWeights.IMAGENET: BACKBONE,
    NamedWeights.NONE: SCRATCH,
}


def starting_point(weights: str) -> StartingPoint:
    """What weights of a name or a file give. A file that cannot be read counts as a backbone: whoever loads it says
    what is wrong with it.
    """
    if weights in set(NamedWeights):
        return NAMED[NamedWeights(weights)]
    try:
        return _of_file(weights, Path(weights).stat().st_mtime_ns)
    except (ConfigError, OSError, ValueError):
        return BACKBONE


@lru_cache(maxsize=8)
def _of_file(weights: str, _changed_ns: int) -> StartingPoint:
    found = open_weights(Path(weights))
    return StartingPoint(given=Given.DETECTOR, anchors=found.anchors) if found.has_heads else BACKBONE
