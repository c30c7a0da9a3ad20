"""Pyramid and heads of another detector as the start of a trial: what they have in common, the rest is drawn.

Shapes: A anchors a cell, K classes; the last axis of an output layer's values is that of its rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from detector.backend import to_host
from detector.config import Anchors
from detector.weight_files.found_weights import AnchorLayout, FoundWeights

CLASS_WIDTHS = {"class_logits": 1, "box_deltas": 4}  # rows a class
ANCHOR_WIDTHS = {"rpn_logits": 1, "rpn_deltas": 4}  # rows an anchor


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenHeads:
    """Values by variable path, and what their rows stand for."""

    values: Mapping[str, np.ndarray]
    anchors: AnchorLayout | None
    classes: tuple[str, ...]  # of the file, by label
    wanted: tuple[str, ...]  # of the trial, by label

    @classmethod
    def of(cls, found: FoundWeights | None, wanted: Sequence[str]) -> "GivenHeads":
        """What a file gives for a detector of these classes: no values where it holds a backbone only, or is none."""
        if found is None or not found.has_heads:
            return cls(values={}, anchors=None, classes=(), wanted=tuple(wanted))
        return cls(values=found.values, anchors=found.anchors, classes=found.classes or (), wanted=tuple(wanted))

    @property
    def known(self) -> tuple[str, ...]:
        """The wanted classes that the file has, too."""
        return tuple(name for name in self.wanted if name in self.classes)

    def over(self, variable: keras.Variable, anchors: Anchors) -> np.ndarray:
        """The variable's value with the file's in its place, as far as that fits a trial with these anchors."""
        drawn, given = to_host(variable), self.values.get(variable.path)
        if given is None:
            return drawn
        layer = variable.path.split("/")[0]
        if (width := CLASS_WIDTHS.get(layer)) is not None:
            return self._by_class(given, drawn, width, has_background=layer == "class_logits")
        if (width := ANCHOR_WIDTHS.get(layer)) is not None:
            return self._by_anchor(given, drawn, width, anchors)
        return given if given.shape == drawn.shape else drawn

    def _by_class(self, given: np.ndarray, drawn: np.ndarray, width: int, *, has_background: bool) -> np.ndarray:
        rows = [(self.classes.index(name), self.wanted.index(name)) for name in self.known]
        if rows and has_background:
            rows.append((len(self.classes), len(self.wanted)))
        return _placed(given, drawn, width, rows)

    def _by_anchor(self, given: np.ndarray, drawn: np.ndarray, width: int, anchors: Anchors) -> np.ndarray:
        own = AnchorLayout(sizes=len(anchors.sizes_px[0]), ratios=len(anchors.ratios))
        rows = [(slot, slot) for slot in range(own.per_cell)] if own == self.anchors else []
        return _placed(given, drawn, width, rows)


def _placed(given: np.ndarray, drawn: np.ndarray, width: int, rows: Sequence[tuple[int, int]]) -> np.ndarray:
    """The drawn values with `width` of the given ones at each pair of places."""
    placed = drawn.copy()
    for source, target in rows:
        taken = given[..., source * width : (source + 1) * width]
        if taken.shape[:-1] == placed.shape[:-1] and taken.shape[-1] == width:
            placed[..., target * width : (target + 1) * width] = taken
    return placed
