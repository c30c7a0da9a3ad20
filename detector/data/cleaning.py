"""Decides which annotated boxes are usable: kept, clipped to the image, or dropped with a reason.

Corners are float64 [n, 4] as x1, y1, x2, y2 in pixels of the original image. Nothing degenerate leaves this module.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.data.formats.reader import Floats
from detector.data.formats.table import READERS
from detector.data_source import DataFormat

Mask = NDArray[np.bool_]

SMALLEST_PX = 1.0  # a box of one pixel or less is a slip of the mouse (F15); BCCD has two
SLACK_PX = 1.0  # rounding and 0- against 1-based counting put boxes outside by that much
FARTHEST_PX = 1e9  # keeps sums and differences of absurd numbers finite
SUSPICIOUS_SHARE = 0.05  # of boxes beyond the image: look whether another order of the numbers would explain it
HOPELESS_SHARE = 0.5
OUTSIDE = "lies outside the image"  # begins the reason of such a box


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """Boxes of one image, checked. `reasons` has an empty text where the box stays."""

    corners: Floats  # [n, 4], clipped; rows with a reason are meaningless
    reasons: tuple[str, ...]
    clipped: Mask  # [n] kept, but cut at the image border by more than rounding

    @property
    def kept(self) -> Mask:
        return np.array([not reason for reason in self.reasons], dtype=bool)


def clean_boxes(corners: Floats, *, width_px: int, height_px: int) -> Cleaned:
    """Clip boxes to the image, and say of each unusable one why."""
    size = np.array([width_px, height_px, width_px, height_px], dtype=np.float64)
    finite: Mask = np.all(np.isfinite(corners), axis=1)
    safe = np.where(finite[:, None], np.clip(corners, -FARTHEST_PX, FARTHEST_PX), 0.0)
    inside = np.clip(safe, 0.0, size)
    without_area = _shortest_px(safe) <= 0
    outside = (safe[:, 2:] <= 0).any(axis=1) | (safe[:, :2] >= size[:2]).any(axis=1)
    tiny = _shortest_px(inside) <= SMALLEST_PX
    reasons: NDArray[np.str_] = np.select(
        [~finite, without_area, outside, tiny],
        [
            "has a coordinate that is not finite",
            "has no area: its right or lower edge doesn't lie beyond its left or upper one",
            f"{OUTSIDE} of {width_px} × {height_px} px",
            f"is not more than {SMALLEST_PX:g} px wide or high",
        ],
        default="",
    )
    stays = reasons == ""
    return Cleaned(
        corners=inside,
        reasons=tuple(str(reason) for reason in reasons),
        clipped=stays & (np.abs(safe - inside) > SLACK_PX).any(axis=1),
    )


def _shortest_px(corners: Floats) -> Floats:
    """The shorter side of each box, [n]; negative where corners are swapped."""
    return np.minimum(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])


def confusion(corners: Floats, sizes_px: Floats, file_format: DataFormat) -> str | None:
    """Why most boxes are wrong as they stand, with the likely cause, or None where they are plausible.

    `corners` [n, 4] are all boxes of the dataset as read, `sizes_px` [n, 2] width and height of each one's image.
    """
    corners = np.where(np.isfinite(corners), np.clip(corners, -FARTHEST_PX, FARTHEST_PX), np.nan)
    good = _plausible(corners, sizes_px)
    share = 1.0 - float(np.mean(good)) if len(good) else 0.0
    if share <= SUSPICIOUS_SHARE:
        return None
    reader = READERS[file_format]
    likely = [name for name, meant in reader.mistaken.items() if _plausible(meant(corners), sizes_px).mean() >= 0.99]
    if share <= HOPELESS_SHARE and not likely:
        return None
    cause = f"; all would fit if the numbers were {likely[0]}" if likely else _normalised(corners)
    return (
        f"{share:.0%} of the {len(corners)} boxes have no area or reach beyond their image, read as {reader.box} "
        f"in pixels{cause}; check the order and unit of the coordinates (xywh or xyxy, x and y swapped)"
    )


def _plausible(corners: Floats, sizes_px: Floats) -> Mask:
    """Which boxes have an area and lie within their image, but for the slack; [n]."""
    limits = np.concatenate([sizes_px, sizes_px], axis=1) + SLACK_PX
    within = (corners >= -SLACK_PX).all(axis=1) & (corners <= limits).all(axis=1)
    return (_shortest_px(corners) > SMALLEST_PX) & within


def _normalised(corners: Floats) -> str:
    finite = corners[np.isfinite(corners)]
    if finite.size and finite.max() <= 1.5:
        return "; they look normalised to 0…1, as YOLO writes them"
    return ""
