"""The canvas: `128x256` or [128, 256], height first, or fitted to the data's own aspect."""

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from detector.config import MOST_CANVAS_PX, Canvas, ConfigError, nearest_side_px, require

LONG_SIDE_PX, LONG_SIDE_CPU_PX = 512, 256  # of an automatic canvas; without an accelerator a quarter of the work
ACCELERATORS = (Path("/dev/nvidiactl"), Path("/dev/kfd"))  # NVIDIA's and AMD's, known without loading TensorFlow

_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]*)?")
_DIGITS = re.compile(r"\s*[0-9]{1,9}\s*")


def parse_canvas(value: object) -> Canvas:
    """The canvas from `HxW` or [height, width], in pixels.

    Raises:
        ConfigError: it is neither, or not in multiples of 32.
    """
    if isinstance(value, Canvas):
        return value
    parts = value.lower().replace("×", "x").split("x") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) != 2:
        raise ConfigError(f"must be HEIGHTxWIDTH such as 256x320, [256, 320], or auto, but is {value!r}{_meant(value)}")
    height, width = (int(part) if isinstance(part, str) and _DIGITS.fullmatch(part) else part for part in parts)
    whole = type(height) is int and type(width) is int
    require(whole, f"height and width must be whole numbers of pixels, but are {value!r}{_meant(value)}")
    return Canvas(height_px=height, width_px=width)


def usual_long_side_px() -> int:
    """The long side of an automatic canvas on a machine like this one."""
    return LONG_SIDE_PX if any(map(Path.exists, ACCELERATORS)) else LONG_SIDE_CPU_PX


def _meant(value: object) -> str:
    """What to write instead, where one or two whole numbers of pixels stand in it."""
    text = str(list(value.values()) if isinstance(value, dict) else value)
    sides = [round(float(number)) for number in _NUMBER.findall(text)]
    if len(sides) not in (1, 2) or not all(0 < side <= MOST_CANVAS_PX for side in sides):
        return ""
    height, width = (nearest_side_px(side) for side in (sides[0], sides[-1]))
    return f"; write {height}x{width}"


def canvas_for(sizes_px: Sequence[tuple[int, int]], long_side_px: int | None = None) -> Canvas:
    """The canvas with the median aspect of the images, given as (height, width); both sides in multiples of 32.

    Without a long side it is this machine's usual one.

    Raises:
        ConfigError: there is no image, or one has no area.
    """
    require(bool(sizes_px), "the canvas follows the images' aspect, but there is no image; set detector.canvas")
    for height, width in sizes_px:
        require(height > 0 and width > 0, f"an image must have an area, but one is {height}x{width} px")
    if long_side_px is None:
        long_side_px = usual_long_side_px()
    aspect = median(height / width for height, width in sizes_px)
    return Canvas(
        height_px=nearest_side_px(long_side_px * min(1.0, aspect)),
        width_px=nearest_side_px(long_side_px * min(1.0, 1 / aspect)),
    )
