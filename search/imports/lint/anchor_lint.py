"""Whether their anchors stand where the boxes are, and what the RPN calls a match."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from detector.config import STRIDES_PX
from search.doctor.diagnostic import Level
from search.imports.imported import Imported
from search.imports.lint.finding import Finding, Mend, finding
from search.imports.lint.ground import Ground
from spaces.anchor_fit import share_fitted
from spaces.anchor_search import derive_anchors
from spaces.faster_rcnn import Space

FEW_FITTED, TOO_FEW_FITTED = 0.6, 0.25  # of the boxes, by an IoU of a half with any anchor
CLEARLY_BETTER = 0.1  # share of the boxes
WHOLE_LISTS = 4  # from so many sizes on every level, one a level was meant
MOST_BOXES = 20_000  # measured


def check_their_anchors(imported: Imported, ground: Ground) -> Iterator[Finding]:
    """Findings about sizes, ratios and thresholds."""
    yield from _thresholds(imported)
    yield from _levels(imported)
    if len(ground.boxes.boxes):
        yield from _fit(imported, ground)
    yield from _least_best(imported)


def _thresholds(imported: Imported) -> Iterator[Finding]:
    negative, positive = imported.rpn_negative_iou, imported.rpn_positive_iou
    if negative.value > positive.value:
        yield finding(
            "thresholds-crossed", Level.ERROR, negative,
            f"makes anchors negative below {negative.value:g}, but positive from {positive.value:g} "
            f"({positive.key}): those between are both",
            f"exchange them: negative below {positive.value:g}, positive from {negative.value:g}",
            mends=[
                Mend(wish="rpn_negative_iou", value=positive.value), Mend(wish="rpn_positive_iou", value=negative.value)
            ],
        )  # fmt: skip


def _levels(imported: Imported) -> Iterator[Finding]:
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
            f"write a list for each level: [{split}]", mends=_one_each(lists[0], len(strides)),
        )  # fmt: skip


def _one_each(sizes: tuple[float, ...], levels: int) -> list[Mend]:
    one_each = tuple((size,) for size in sorted(sizes))
    return [Mend(wish="sizes_px", value=one_each)] if len(one_each) == levels else []


def _fit(imported: Imported, ground: Ground) -> Iterator[Finding]:
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
            mends=[Mend(wish="ratios", value=tuple(1 / ratio for ratio in imported.ratios.value))],
        )  # fmt: skip
    elif own < FEW_FITTED:
        yield _misfit(imported, ground, boxes, own)


def _written(imported: Imported) -> list[float]:
    return [1 / ratio if imported.ratios_inverted else ratio for ratio in imported.ratios.value]


def _misfit(imported: Imported, ground: Ground, boxes: np.ndarray, own: float) -> Finding:
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    low, middle, high = np.quantile(sides, (0.1, 0.5, 0.9))
    sizes = [size for level in ground.anchors.sizes_px for size in level]
    return finding(
        "anchors-miss", Level.ERROR if own < TOO_FEW_FITTED else Level.WARNING, imported.sizes_px,
        f"gives anchors of {min(sizes):.3g} to {max(sizes):.3g} px, but the boxes are {low:.3g} to {high:.3g} px, "
        f"{middle:.3g} in the middle: one overlaps {own:.0%} of them by half or more",
        "see the anchors derived from the boxes, which trial 1 has; or train larger images",
        mends=_derived(imported, ground),
    )  # fmt: skip


def _derived(imported: Imported, ground: Ground) -> list[Mend]:
    """The anchors that the boxes suggest, in the pixels of their training; none for other levels than ours."""
    if imported.strides_px != STRIDES_PX:
        return []
    anchors = derive_anchors(Space.default(), ground.boxes).anchors
    sizes = tuple(tuple(_rounded(size / ground.scale) for size in level) for level in anchors.sizes_px)
    return [Mend(wish="sizes_px", value=sizes), Mend(wish="ratios", value=tuple(map(_rounded, anchors.ratios)))]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _least_best(imported: Imported) -> Iterator[Finding]:
    least = imported.least_best_iou
    if least is not None and least.value <= 0 and imported.low_quality_matches.value:
        yield finding(
            "every-anchor-positive", Level.WARNING, least,
            "is 0: a box that no anchor touches has a best overlap of 0, and so every anchor becomes positive",
            "write 0.001, or the 0.3 that MMDetection ships", mends=[Mend(wish="least_best_iou", value=0.001)],
        )  # fmt: skip


def _sample(boxes: np.ndarray) -> np.ndarray:
    return boxes[:: -(-len(boxes) // MOST_BOXES)]
