"""The canvas: `128x256` or [128, 256], height first, or fitted to the data's own aspect."""

from collections.abc import Sequence
from statistics import median

from detector.config import CANVAS_MULTIPLE_PX, Canvas, ConfigError, require


def parse_canvas(value: object) -> Canvas:
    """The canvas from `HxW` or [height, width], in pixels.

    Raises:
        ConfigError: it is neither, or not in multiples of 32.
    """
    if isinstance(value, Canvas):
        return value
    parts = value.lower().replace("×", "x").split("x") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) != 2:
        raise ConfigError(f"must be HEIGHTxWIDTH such as 256x320, [256, 320], or auto, but is {value!r}")
    numbers = [int(part) if isinstance(part, str) and part.strip().isdecimal() else part for part in parts]
    for number in numbers:
        whole = isinstance(number, int) and not isinstance(number, bool)
        require(whole, f"height and width must be whole numbers of pixels, but are {value!r}")
    return Canvas(height_px=numbers[0], width_px=numbers[1])


def canvas_for(sizes_px: Sequence[tuple[int, int]], long_side_px: int = 512) -> Canvas:
    """The canvas with the median aspect of the images, given as (height, width), in multiples of 32.

    The longer side has `long_side_px`, rounded to a multiple of 32 as the shorter one is.

    Raises:
        ConfigError: there is no image, or one has no area.
    """
    require(bool(sizes_px), "the canvas follows the images' aspect, but there is no image; set detector.canvas")
    for height, width in sizes_px:
        require(height > 0 and width > 0, f"an image must have an area, but one is {height}x{width} px")
    aspect = median(height / width for height, width in sizes_px)
    height_px, width_px = (long_side_px * min(1.0, aspect), long_side_px * min(1.0, 1 / aspect))
    return Canvas(height_px=_rounded(height_px), width_px=_rounded(width_px))


def _rounded(length_px: float) -> int:
    return max(1, round(length_px / CANVAS_MULTIPLE_PX)) * CANVAS_MULTIPLE_PX
