"""Proposes a larger canvas, and tries each before it is named: on it, what was found must be gone."""

import math
from collections.abc import Callable, Iterator

from detector.config import CANVAS_MULTIPLE_PX, Canvas

LARGEST_CANVAS_PX = 1536  # beyond, tiles are the better advice
LEAST_FACTOR, STEP = 1.25, 1.25


def larger_canvas(canvas: Canvas, factor: float, is_mended: Callable[[Canvas], bool]) -> str:
    """The smallest canvas that mends it, at least so many times as large on a side, as a sentence; else tiles."""
    for wanted in _from(canvas, factor):
        if is_mended(wanted):
            work = wanted.area_px / canvas.area_px
            return f"set detector.canvas to {wanted}: tried, and enough ({work:.1f} times the work)"
    return f"cut the images into tiles: no canvas of up to {LARGEST_CANVAS_PX} px a side is large enough"


def _from(canvas: Canvas, factor: float) -> Iterator[Canvas]:
    factor = max(LEAST_FACTOR, factor)
    while max(sides := [_rounded_up(length * factor) for length in (canvas.height_px, canvas.width_px)]) <= (
        LARGEST_CANVAS_PX
    ):
        yield Canvas(height_px=sides[0], width_px=sides[1])
        factor *= STEP


def _rounded_up(length_px: float) -> int:
    return math.ceil(length_px / CANVAS_MULTIPLE_PX) * CANVAS_MULTIPLE_PX
