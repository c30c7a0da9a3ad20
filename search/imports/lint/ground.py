"""What a configuration is looked at against: the data, and the anchors of trial 0 on it."""

from dataclasses import dataclass

from detector.config import Anchors
from spaces.anchor_fit import CanvasBoxes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """The training data on the canvas of trial 0."""

    images: int
    boxes: CanvasBoxes
    anchors: Anchors  # of trial 0
    scale: float = 1.0  # of images on that canvas, in those of their training

    @property
    def classes(self) -> tuple[str, ...]:
        return self.boxes.classes
