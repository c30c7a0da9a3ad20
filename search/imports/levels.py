"""Their anchor sizes on our levels: P2 to P6, with equally many on each."""

import math
from collections.abc import Sequence

from detector.config import LEVELS, STRIDES_PX

USUAL_STRIDES = 8  # an anchor is usually so many strides large
FIRST_LEVEL = 2

Sizes = tuple[tuple[float, ...], ...]


def on_our_levels(sizes_px: Sequence[Sequence[float]], strides_px: Sequence[int]) -> Sizes:
    """The sizes, level by level. A level that has fewer than the others gets its nearest size again.

    Maps of other strides than ours are spread: each size to the level whose usual anchor is nearest to it.
    """
    if tuple(strides_px) == STRIDES_PX and len(sizes_px) == LEVELS:
        lists = [list(sizes) for sizes in sizes_px]
    else:
        lists = [[] for _ in STRIDES_PX]
        for size in sorted({size for sizes in sizes_px for size in sizes}):
            lists[_level(size)].append(size)
    most = max(map(len, lists))
    every = [size for sizes in lists for size in sizes]
    return tuple(tuple(_filled(sizes, most, every, stride)) for sizes, stride in zip(lists, STRIDES_PX, strict=True))


def _level(size_px: float) -> int:
    """The position of the level: P2 is 0."""
    level = round(math.log2(size_px / USUAL_STRIDES)) - FIRST_LEVEL
    return min(max(level, 0), LEVELS - 1)


def _filled(sizes: list[float], count: int, every: list[float], stride: int) -> list[float]:
    """With the size repeated that is nearest to the level's usual one, of its own or else of all."""
    usual = USUAL_STRIDES * stride
    nearest = min(sizes or every, key=lambda size: abs(math.log(size / usual)))
    return sizes + [nearest] * (count - len(sizes))
