"""What was found in a file of weights: values under our names, and what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from detector.config import BackboneName
from detector.geometry import Geometry


class FileKind(StrEnum):
    """Whose file it is."""

    OURS = "frcnn-search"
    KERAS = "keras.applications"
    TORCHVISION = "torchvision"
    DETECTRON2 = "Detectron2"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorLayout:
    """How many anchors a cell has, sizes varying slowest."""

    sizes: int
    ratios: int

    @property
    def per_cell(self) -> int:
        return self.sizes * self.ratios


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWeights:
    """The weights of a backbone or of a whole detector."""

    kind: FileKind
    geometry: Geometry
    backbone: BackboneName | None = None  # None: the file does not say
    values: Mapping[str, np.ndarray] = field(default_factory=dict)  # by variable path; empty: Keras reads the file
    classes: tuple[str, ...] | None = None  # by label, as far as the file knows names
    anchors: AnchorLayout | None = None  # of the RPN's outputs
    remark: str = ""  # what of the file is not taken, and why

    @property
    def has_heads(self) -> bool:
        """Whether there is more than a backbone."""
        return "fc1/kernel" in self.values
