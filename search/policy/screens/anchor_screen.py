"""Tells hopeless anchors before they reach a trainer, from a sample of the training boxes kept with the study.

Anchors are hopeless where the share of boxes that one of them overlaps by half or more is below a part of what the best
anchors of the space reach. Measured against those, not against all boxes, the bound holds on data whose smallest
objects no anchor fits. Where the best fit every box it is F20's: more than half of the boxes below an IoU of 0.5.

The sample lies in the database, so every worker on any machine judges alike, without the data, in about a millisecond.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from detector.config import Anchors, Canvas
from search.study.canvas import parse_canvas
from spaces.anchor_fit import CanvasBoxes, Floats, share_fitted
from spaces.faster_rcnn import ANCHOR_PARAMETERS, Space
from trial.outcome import Outcome
from trial.verdict import Verdict

MOST_BOXES = 1000  # the standard error of a share of so many is below 0.016


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnchorScreen:
    """A sample of the boxes, and how many of them the best anchors reach."""

    canvas: Canvas
    boxes: Floats  # [n, 4] on the canvas
    reachable: float  # share with an IoU of 0.5 or more with the best anchors known

    @classmethod
    def of(cls, data: CanvasBoxes, best: Anchors, *, seed: int) -> "AnchorScreen":
        """The screen that a launch keeps; `best` are the best anchors that the space is known to have."""
        chosen = np.sort(np.random.default_rng(seed).permutation(len(data.boxes))[:MOST_BOXES])
        boxes = np.round(data.boxes[chosen], 2)  # hundredths of a pixel: short to store
        share = max(share_fitted(boxes, anchors, data.canvas) for anchors in (best, Anchors()))
        return cls(canvas=data.canvas, boxes=boxes, reachable=share)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "AnchorScreen":
        """The screen that `to_json` described."""
        return cls(
            canvas=parse_canvas(document["canvas"]),
            boxes=np.array(document["boxes"], dtype=np.float64).reshape(-1, 4),
            reachable=float(document["reachable"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"canvas": str(self.canvas), "boxes": self.boxes.tolist(), "reachable": self.reachable}

    def verdict(self, anchors: Anchors, *, least: float) -> Verdict | None:
        """Why these anchors are not worth a trial, or None; `least` is a part of what the best reach."""
        fit, bound = share_fitted(self.boxes, anchors, self.canvas), least * self.reachable
        if fit >= bound:
            return None
        return Verdict(
            outcome=Outcome.HOPELESS,
            cause="anchors",
            message=f"the fit of the anchors is below {bound:.0%}: they overlap {fit:.0%} of the boxes by half or "
            f"more, the best ones {self.reachable:.0%}",
            evidence={"fit": fit, "least fit": bound, "best fit": self.reachable},
        )


def varies_anchors(space: Space) -> bool:
    """Whether a study on this space proposes different anchors at all."""
    return bool(space.reference().keys() & set(ANCHOR_PARAMETERS))  # without what is fixed or has no effect
