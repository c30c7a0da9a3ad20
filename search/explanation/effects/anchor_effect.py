"""What the anchors of a study's trials had to do with their AP: fit to the boxes against the AP at the first rung.

The first rung is the one that every healthy trial reached, so its APs compare.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.config import Anchors, Canvas
from detector.data.dataset import Dataset
from search.policy.derived_point import canvas_boxes
from search.report.trial_history import TrialHistory
from spaces.anchor_fit import CanvasBoxes, share_fitted

MOST_BOXES = 2000  # a sample gives the share to about 1 %
FEWEST_TRIALS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorPoint:
    """One trial's anchors: how many boxes they overlap by half or more, and what it reached."""

    trial: int
    covered: float  # share of boxes, in [0, 1]
    ap: float | None  # at the first rung; None where it failed before


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorEffect:
    """All trials with readable anchors. `correlation` is Spearman's, between fit and AP; None for too few trials."""

    points: tuple[AnchorPoint, ...]
    correlation: float | None


def anchor_effect(history: TrialHistory, train: Dataset, canvas: Canvas) -> AnchorEffect:
    """The effect in this study, on its training boxes."""
    boxes = _sample(canvas_boxes(train, canvas))
    covered: dict[Anchors, float] = {}
    points = []
    for record in history.records:
        if record.hyperparameters is None:
            continue
        anchors = record.hyperparameters.anchors
        if anchors not in covered:
            covered[anchors] = share_fitted(boxes.boxes, anchors, canvas)
        first = record.rungs[0].ap if record.rungs and not record.failed else math.nan
        ap = first if math.isfinite(first) else None
        points.append(AnchorPoint(trial=record.number, covered=covered[anchors], ap=ap))
    return AnchorEffect(points=tuple(points), correlation=_correlation(points))


def _sample(boxes: CanvasBoxes) -> CanvasBoxes:
    return boxes.select(np.unique(np.linspace(0, len(boxes.boxes) - 1, MOST_BOXES).astype(np.int64)))


def _correlation(points: Sequence[AnchorPoint]) -> float | None:
    pairs = [(point.covered, point.ap) for point in points if point.ap is not None]
    if len(pairs) < FEWEST_TRIALS:
        return None
    fits, aps = (_ranks([pair[side] for pair in pairs]) for side in (0, 1))
    spread = float(fits.std() * aps.std())
    return float(((fits - fits.mean()) * (aps - aps.mean())).mean() / spread) if spread > 0 else None


def _ranks(values: Sequence[float]) -> np.ndarray:
    """Ranks from 0; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse]
