"""How large images are in their training: the canvas that comes to the same, and the anchors' scale on another."""

from collections.abc import Sequence
from statistics import median

from detector.config import MOST_CANVAS_PX, Canvas, nearest_side_px
from search.imports.imported import Resize
from search.study.canvas import canvas_for


def their_canvas(resize: Resize, sizes_px: Sequence[tuple[int, int]]) -> Canvas:
    """The canvas on which images (height, width) are as large as with them, rounded to whole multiples of 32."""
    if resize.frame is not None:
        return resize.frame
    long_px = median(max(size) * _scale(resize, size) for size in sizes_px)
    return canvas_for(sizes_px, min(round(long_px), MOST_CANVAS_PX))


def anchor_scale(resize: Resize, sizes_px: Sequence[tuple[int, int]], canvas: Canvas) -> float:
    """How much larger images are on this canvas than in their training; 1 on `their_canvas`."""
    if canvas == their_canvas(resize, sizes_px):
        return 1.0
    return median(
        min(canvas.height_px / height, canvas.width_px / width) / _scale(resize, (height, width))
        for height, width in sizes_px
    )


def _scale(resize: Resize, size: tuple[int, int]) -> float:
    if resize.frame is not None:
        return min(resize.frame.height_px / size[0], resize.frame.width_px / size[1])
    return min(max(resize.short_px) / min(size), resize.most_long_px / max(size))


def frame(height_px: float, width_px: float) -> Resize:
    """Into a frame of about that size."""
    sides = (min(nearest_side_px(side), MOST_CANVAS_PX) for side in (height_px, width_px))
    height, width = sides
    return Resize(frame=Canvas(height_px=height, width_px=width))
