"""Whether pixels reach the backbone as its weights expect them: channel order, scale, deviation."""

from collections.abc import Callable, Iterator, Sequence

from search.doctor.diagnostic import Level
from search.imports.imported import Imported, Pixels
from search.imports.lint.finding import Finding, Mend, finding

RGB_MEAN = (123.675, 116.28, 103.53)  # of ImageNet; other lists differ by less than the tolerance
RGB_DEVIATION = (58.395, 57.12, 57.375)
TOLERANCE = 3.0
WHITE = 255.0
MOST_UNIT = 2.0  # means and deviations of pixels from 0 to 1 lie below
TORCHVISION, MSRA = ("torchvision", "resnet50-", "open-mmlab://resnet50"), ("msra", "caffe")


def check_pixels(imported: Imported) -> Iterator[Finding]:
    """Findings about what is subtracted and divided, where their file says it."""
    pixels = imported.pixels
    if pixels is None or len(pixels.mean.value) != 3:
        return
    if (scale := _scale(pixels)) is not None:
        yield scale
    else:
        yield from _order(pixels, imported.weights.value)
        yield from _deviation(pixels, imported.weights.value)


def _scale(pixels: Pixels) -> Finding | None:
    highest = max(map(abs, pixels.mean.value), default=0.0)
    if pixels.white == WHITE and 0 < highest <= MOST_UNIT:
        return finding(
            "pixel-scale", Level.ERROR, pixels.mean,
            "are means of pixels from 0 to 1, but pixels here go from 0 to 255: the backbone sees hundredfold contrast",
            f"multiply by 255: [{', '.join(f'{255 * value:.6g}' for value in pixels.mean.value)}]",
            mends=_scaled(pixels, 255.0, lambda deviations: max(deviations) < 1),
        )  # fmt: skip
    if pixels.white == 1 and highest > MOST_UNIT:
        return finding(
            "pixel-scale", Level.ERROR, pixels.mean,
            "are means of pixels from 0 to 255, but pixels here go from 0 to 1: the backbone sees one constant",
            f"divide by 255: [{', '.join(f'{value / 255:.3f}' for value in pixels.mean.value)}]",
            mends=_scaled(pixels, 1 / 255, lambda deviations: min(deviations) > MOST_UNIT),
        )  # fmt: skip
    return None


def _scaled(pixels: Pixels, factor: float, goes_along: Callable[[tuple[float, ...]], bool]) -> list[Mend]:
    """The means times the factor, and the deviations where they are in the same unit."""
    wishes = [("pixels.mean", pixels.mean)]
    if pixels.std.value and goes_along(pixels.std.value):
        wishes.append(("pixels.std", pixels.std))
    return [Mend(wish=name, value=tuple(_six_digits(factor * each) for each in wish.value)) for name, wish in wishes]


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")


def _order(pixels: Pixels, weights: str) -> Iterator[Finding]:
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
            mends=_turned(pixels, written, _order_of(weights)),
        )  # fmt: skip


def _turned(pixels: Pixels, written: str, trained: str | None) -> list[Mend]:
    """The order of the pixels, or else the means, turned to what the weights were trained with, where that is known."""
    if trained is None:
        return []
    if trained == written:
        return [Mend(wish="pixels.order", value=written)]
    means, deviations = (tuple(reversed(wish.value)) for wish in (pixels.mean, pixels.std))
    return [Mend(wish="pixels.mean", value=means), Mend(wish="pixels.std", value=deviations)]


def _order_of(weights: str) -> str | None:
    """The order of the channels with which weights of that name were trained; None where it does not tell."""
    name = weights.lower()
    if any(each in name for each in MSRA):
        return "BGR"
    return "RGB" if any(each in name for each in TORCHVISION) else None


def _deviation(pixels: Pixels, weights: str) -> Iterator[Finding]:
    deviation = [value * WHITE / pixels.white for value in pixels.std.value]
    order = _order_of(weights)
    if order == "RGB" and deviation and max(deviation) <= MOST_UNIT:
        yield finding(
            "pixel-deviation", Level.ERROR, pixels.std,
            f"divides by 1, but the weights ({weights}) are torchvision's, trained on pixels divided by their "
            "deviation: activations are fiftyfold",
            "write [58.395, 57.12, 57.375] in the order RGB",
            mends=_deviations(pixels, RGB_DEVIATION if pixels.order.value.upper() == "RGB" else RGB_DEVIATION[::-1]),
        )  # fmt: skip
    elif order == "BGR" and deviation and min(deviation) > MOST_UNIT:
        yield finding(
            "pixel-deviation", Level.ERROR, pixels.std,
            f"divides by a deviation, but the weights ({weights}) are caffe's, trained on plain differences from the "
            "mean: activations are a fiftieth",
            "write [1.0, 1.0, 1.0]",
            mends=_deviations(pixels, (1.0, 1.0, 1.0)),
        )  # fmt: skip


def _deviations(pixels: Pixels, of_255: tuple[float, ...]) -> list[Mend]:
    return [Mend(wish="pixels.std", value=tuple(_six_digits(each * pixels.white / WHITE) for each in of_255))]


def _near(values: Sequence[float], wanted: Sequence[float]) -> bool:
    return all(abs(value - each) <= TOLERANCE for value, each in zip(values, wanted, strict=True))
