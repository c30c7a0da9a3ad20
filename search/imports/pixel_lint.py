"""Whether pixels reach the backbone as its weights expect them: channel order, scale, deviation."""

from collections.abc import Iterator, Sequence

from search.doctor.diagnostic import Diagnostic, Level
from search.imports.finding import finding
from search.imports.imported import Imported, Pixels

RGB_MEAN = (123.675, 116.28, 103.53)  # of ImageNet; other lists differ by less than the tolerance
TOLERANCE = 3.0
WHITE = 255.0
MOST_UNIT = 2.0  # means and deviations of pixels from 0 to 1 lie below
TORCHVISION, MSRA = ("torchvision", "resnet50-", "open-mmlab://resnet50"), ("msra", "caffe")


def check_pixels(imported: Imported) -> Iterator[Diagnostic]:
    """Findings about what is subtracted and divided, where their file says it."""
    pixels = imported.pixels
    if pixels is None or len(pixels.mean.value) != 3:
        return
    if (scale := _scale(pixels)) is not None:
        yield scale
    else:
        yield from _order(pixels)
        yield from _deviation(pixels, imported.weights.value)


def _scale(pixels: Pixels) -> Diagnostic | None:
    highest = max(map(abs, pixels.mean.value), default=0.0)
    if pixels.white == WHITE and 0 < highest <= MOST_UNIT:
        return finding(
            "pixel-scale", Level.ERROR, pixels.mean,
            "are means of pixels from 0 to 1, but pixels here go from 0 to 255: the backbone sees hundredfold contrast",
            f"multiply by 255: [{', '.join(f'{255 * value:.6g}' for value in pixels.mean.value)}]",
        )  # fmt: skip
    if pixels.white == 1 and highest > MOST_UNIT:
        return finding(
            "pixel-scale", Level.ERROR, pixels.mean,
            "are means of pixels from 0 to 255, but pixels here go from 0 to 1: the backbone sees one constant",
            f"divide by 255: [{', '.join(f'{value / 255:.3f}' for value in pixels.mean.value)}]",
        )  # fmt: skip
    return None


def _order(pixels: Pixels) -> Iterator[Diagnostic]:
    means = [value * WHITE / pixels.white for value in pixels.mean.value]
    order = pixels.order.value.upper()
    written = "RGB" if _near(means, RGB_MEAN) else "BGR" if _near(means, RGB_MEAN[::-1]) else order
    if order in ("RGB", "BGR") and written != order:
        yield finding(
            "channel-order", Level.ERROR, pixels.mean,
            f"are ImageNet's means in the order {written}, but {pixels.order.key} gives the backbone {order}: red and "
            "blue are exchanged",
            f"reverse the means (and {pixels.std.key}), or change {pixels.order.key} to what the weights were trained "
            "with",
        )  # fmt: skip


def _deviation(pixels: Pixels, weights: str) -> Iterator[Diagnostic]:
    deviation = [value * WHITE / pixels.white for value in pixels.std.value]
    name = weights.lower()
    of_torchvision = any(each in name for each in TORCHVISION) and not any(each in name for each in MSRA)
    if of_torchvision and deviation and max(deviation) <= MOST_UNIT:
        yield finding(
            "pixel-deviation", Level.ERROR, pixels.std,
            f"divides by 1, but the weights ({weights}) are torchvision's, trained on pixels divided by their "
            "deviation: activations are fiftyfold",
            "write [58.395, 57.12, 57.375] in the order RGB",
        )  # fmt: skip
    elif any(each in name for each in MSRA) and deviation and min(deviation) > MOST_UNIT:
        yield finding(
            "pixel-deviation", Level.ERROR, pixels.std,
            f"divides by a deviation, but the weights ({weights}) are caffe's, trained on plain differences from the "
            "mean: activations are a fiftieth",
            "write [1.0, 1.0, 1.0]",
        )  # fmt: skip


def _near(values: Sequence[float], wanted: Sequence[float]) -> bool:
    return all(abs(value - each) <= TOLERANCE for value, each in zip(values, wanted, strict=True))
