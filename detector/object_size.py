"""What small, medium and large mean: COCO's bounds of an object's area, in square pixels of the original image.

Sizes on the canvas are told in pixels and never by these words: the same object has another size on each canvas.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALL_PX, LARGE_PX = 32, 96  # sides of the squares whose areas are the bounds

RANGES: Mapping[str, str] = {
    "small": f"below {SMALL_PX}² px",
    "medium": f"{SMALL_PX}² to {LARGE_PX}² px",
    "large": f"above {LARGE_PX}² px",
}
OBJECT_SIZES = tuple(RANGES)
MEANING = ", ".join(f"{name} {bounds}" for name, bounds in RANGES.items()) + ", of the original image"


def object_sizes(areas: NDArray[Any]) -> NDArray[np.int64]:
    """The position in `OBJECT_SIZES` of each area, [n]; areas [n] are in square pixels of the original image."""
    return (areas >= SMALL_PX**2).astype(np.int64) + (areas > LARGE_PX**2)
