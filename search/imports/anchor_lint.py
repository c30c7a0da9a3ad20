"""Whether their anchors stand where the boxes are, and what the RPN calls a match."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from detector.config import Anchors
from search.doctor.diagnostic import Diagnostic, Level
from search.imports.finding import finding
from search.imports.ground import Ground
from search.imports.imported import Imported
from spaces.anchor_fit import share_fitted

FEW_FITTED, TOO_FEW_FITTED = 0.6, 0.25  # of the boxes, by an IoU of a half with any anchor
CLEARLY_BETTER = 0.1  # share of the boxes
WHOLE_LISTS = 4  # from so many sizes on every level, one a level was meant
MOST_BOXES = 20_000  # measured


def check_their_anchors(imported: Imported, ground: Ground) -> Iterator[Diagnostic]:
    """Findings about sizes, ratios and thresholds."""
    yield from _thresholds(imported)
    yield from _levels(imported)
    if len(ground.boxes.boxes):
        yield from _fit(imported, ground)
    yield from _least_best(imported)


def _thresholds(imported: Imported) -> Iterator[Diagnostic]:
    negative, positive = imported.rpn_negative_iou, imported.rpn_positive_iou
    if negative.value > positive.value:
        yield finding(
            "thresholds-crossed", Level.ERROR, negative,
            f"makes anchors negative below {negative.value:g}, but positive from {positive.value:g} "
            f"({positive.key}): those between are both",
            f"exchange them: negative below {positive.value:g}, positive from {negative.value:g}",
        )  # fmt: skip


def _levels(imported: Imported) -> Iterator[Diagnostic]:
    lists, strides = imported.sizes_px.value, imported.strides_px
    if len(lists) != len(strides):
        yield finding(
            "sizes-of-other-levels", Level.ERROR, imported.sizes_px,
            f"has {len(lists)} lists for {len(strides)} levels: the model can't be built",
            f"write {len(strides)} lists",
        )  # fmt: skip
    elif len(strides) > 1 and len(set(lists)) == 1 and len(lists[0]) >= WHOLE_LISTS:
        split = ", ".join(f"[{size:g}]" for size in sorted(lists[0]))
        yield finding(
            "sizes-on-every-level", Level.ERROR, imported.sizes_px,
            f"is one list of {len(lists[0])} sizes, which stands on each of the {len(strides)} levels: "
            f"{len(lists[0]) * len(imported.ratios.value)} anchors a cell, of which most have the wrong level",
            f"write a list for each level: [{split}]",
        )  # fmt: skip


def _fit(imported: Imported, ground: Ground) -> Iterator[Diagnostic]:
    boxes, canvas = _sample(ground.boxes.boxes), ground.boxes.canvas
    own = share_fitted(boxes, ground.anchors, canvas)
    ratios = ground.anchors.ratios
    turned = replace(ground.anchors, ratios=tuple(1 / ratio for ratio in ratios))
    other = share_fitted(boxes, turned, canvas) if sorted(ratios) != sorted(turned.ratios) else 0.0
    if other >= own + CLEARLY_BETTER:
        theirs = "width / height" if imported.ratios_inverted else "height / width"
        yield finding(
            "ratios-turned", Level.ERROR if own < FEW_FITTED else Level.WARNING, imported.ratios,
            f"are read as {theirs}: with them an anchor overlaps {own:.0%} of the boxes by half or more, with their "
            f"inverses {other:.0%}",
            f"write [{', '.join(f'{1 / ratio:.3g}' for ratio in _written(imported))}]",
        )  # fmt: skip
    elif own < FEW_FITTED:
        yield _misfit(imported, boxes, ground.anchors, own)


def _written(imported: Imported) -> list[float]:
    return [1 / ratio if imported.ratios_inverted else ratio for ratio in imported.ratios.value]


def _misfit(imported: Imported, boxes: np.ndarray, anchors: Anchors, own: float) -> Diagnostic:
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    low, middle, high = np.quantile(sides, (0.1, 0.5, 0.9))
    sizes = [size for level in anchors.sizes_px for size in level]
    return finding(
        "anchors-miss", Level.ERROR if own < TOO_FEW_FITTED else Level.WARNING, imported.sizes_px,
        f"gives anchors of {min(sizes):.3g} to {max(sizes):.3g} px, but the boxes are {low:.3g} to {high:.3g} px, "
        f"{middle:.3g} in the middle: one overlaps {own:.0%} of them by half or more",
        "see the anchors derived from the boxes, which trial 1 has; or train larger images",
    )  # fmt: skip


def _least_best(imported: Imported) -> Iterator[Diagnostic]:
    least = imported.least_best_iou
    if least is not None and least.value <= 0 and imported.low_quality_matches.value:
        yield finding(
            "every-anchor-positive", Level.WARNING, least,
            "is 0: a box that no anchor touches has a best overlap of 0, and so every anchor becomes positive",
            "write 0.001, or the 0.3 that MMDetection ships",
        )  # fmt: skip


def _sample(boxes: np.ndarray) -> np.ndarray:
    return boxes[:: -(-len(boxes) // MOST_BOXES)]
