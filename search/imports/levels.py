"""Their anchor sizes on our levels: P2 to P6, with equally many on each."""

import math
from collections.abc import Sequence
from typing import Any

from detector.config import LEVELS, STRIDES_PX
from search.imports.wish import UNWRITABLE

USUAL_STRIDES = 8  # an anchor is usually so many strides large
FIRST_LEVEL = 2
CLOSE = 1e-6  # of sizes that are the same but for rounding

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


def common_scales(sizes_px: Sizes, bases: Sequence[float]) -> Any:
    """The factors that make the sizes of every level from its base; `UNWRITABLE` where levels need different ones."""
    if len(sizes_px) != len(bases):
        return UNWRITABLE
    factors = [tuple(size / base for size in sizes) for sizes, base in zip(sizes_px, bases, strict=True)]
    alike = all(
        len(each) == len(factors[0])
        and all(math.isclose(a, b, rel_tol=CLOSE) for a, b in zip(each, factors[0], strict=True))
        for each in factors
    )
    return factors[0] if alike else UNWRITABLE


def octave_scale(sizes_px: Sizes, strides_px: Sequence[int], count: int) -> Any:
    """The factor of which the sizes are factor · stride · 2^(i / count); `UNWRITABLE` where they are not."""
    scales = common_scales(sizes_px, strides_px)
    if scales is UNWRITABLE or len(scales) != count:
        return UNWRITABLE
    spread = all(math.isclose(scale, scales[0] * 2 ** (i / count), rel_tol=CLOSE) for i, scale in enumerate(scales))
    return scales[0] if spread else UNWRITABLE
