"""Pictures of a diagnosis, as PNG files: box shapes with the anchors, coverage by size, images with best anchors.

Words keep to ASCII: the font that Pillow brings has little more.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from detector.config import ConfigError
from detector.data.dataset import Dataset
from detector.data.image_cache import place_on_canvas
from search.doctor.anchor_advice import REFERENCE, AnchorAdvice, FittedAnchors
from search.doctor.chart import BLUE, GREY, ORANGE, Bars, Chart, Colour
from search.doctor.diagnosis import Diagnosis
from spaces.anchor_fit import CanvasBoxes, Floats, anchor_shapes, best_anchors, best_ious

MOST_DOTS = 4000
LONG_SIDE_PX = 1024  # of a picture of an image
BOX_COLOUR, TEXT_COLOUR = (255, 255, 255), (255, 255, 0)
TITLE_PX = 26


def draw_diagnosis(diagnosis: Diagnosis, folder: Path) -> list[Path]:
    """Draw what there is into the folder, which is made if need be; returns the files. Same data, same bytes.

    Raises:
        ConfigError: the folder can't be written to, or an image can't be decoded.
    """
    if diagnosis.anchors is None or diagnosis.train is None:
        return []
    pictures = {"shapes.png": _shapes(diagnosis.anchors), "coverage.png": _coverage(diagnosis.anchors)}
    pictures |= {f"image-{name}.png": picture for name, picture in _images(diagnosis.anchors, diagnosis.train)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            picture.save(folder / name)
    except OSError as error:
        raise ConfigError(
            f"{folder}: pictures can't be written there ({error.strerror}); name another folder"
        ) from None
    return [folder / name for name in pictures]


def _compared(advice: AnchorAdvice) -> list[tuple[str, FittedAnchors, Colour]]:
    """Detectron2's anchors, and the best ones of the study where those are others."""
    compared = [("Detectron2's anchors", advice.fitted[REFERENCE], ORANGE)]
    name = next(name for name, each in advice.fitted.items() if each is advice.best)
    return compared if name == REFERENCE else [*compared, (f"{name} anchors", advice.best, BLUE)]


def _shapes(advice: AnchorAdvice) -> Pillow.Image:
    """Width and height of boxes as points, those of anchors as crosses."""
    boxes, compared = advice.boxes.boxes, _compared(advice)
    chosen = np.unique(np.linspace(0, len(boxes) - 1, MOST_DOTS).astype(int))
    heights, widths = (boxes[chosen, axis + 2] - boxes[chosen, axis] for axis in (0, 1))
    sides = np.concatenate(
        [heights, widths, *(side for _, each, _ in compared for side in anchor_shapes(each.anchors))]
    )
    chart = Chart(
        f"{len(boxes)} training boxes on the canvas of {advice.boxes.canvas}, and the anchors",
        x_name="width, canvas pixels",
        y_name="height, canvas pixels",
    )
    chart.legend("boxes", GREY)
    chart.log_axes(float(sides.min()) / 1.1, float(sides.max()) * 1.1)
    for height, width in zip(heights.tolist(), widths.tolist(), strict=True):
        chart.dot(width, height, GREY)
    for name, each, colour in compared:
        chart.legend(name, colour)
        for height, width in zip(*(side.tolist() for side in anchor_shapes(each.anchors)), strict=True):
            chart.mark(width, height, colour)
    return chart.picture


def _coverage(advice: AnchorAdvice) -> Pillow.Image:
    """By size, the share of boxes that anchors reach: pale from an IoU of 0.5, full from 0.7."""
    sizes_px = advice.boxes.sizes_px
    bounds = np.unique(np.clip(np.array([0, 4, 8, 16, 32, 64, 128, 256, np.inf]), 0, None))
    bins = np.digitize(sizes_px, bounds[1:-1])
    used = np.unique(bins)
    groups = [(_range_name(bounds, index), f"{(bins == index).sum()} boxes") for index in used]
    chart = Chart(
        "share of boxes with a best IoU of at least 0.5 (pale) and 0.7 (full)",
        x_name="size (root of the area), canvas pixels",
        y_name="",
    )
    series = []
    for name, each, colour in _compared(advice):
        best = best_ious(advice.boxes.boxes, each.anchors, advice.boxes.canvas)
        pale = (colour[0] // 2 + 127, colour[1] // 2 + 127, colour[2] // 2 + 127)
        for least, shade in ((0.5, pale), (0.7, colour)):
            values = tuple(float((best[bins == index] >= least).mean()) for index in used)
            series.append(Bars(name=f"{name}, {least}", colour=shade, values=values))
    chart.bars(groups, series)
    return chart.picture


def _range_name(bounds: Floats, index: int) -> str:
    low, high = bounds[index], bounds[index + 1]
    return f"{low:g} and more" if np.isinf(high) else f"{low:g} to {high:g}"


def _images(advice: AnchorAdvice, train: Dataset) -> Iterator[tuple[str, Pillow.Image]]:
    """The image that the best anchors fit worst, one in the middle, and the one with the most boxes."""
    boxes, anchors = advice.boxes, advice.best.anchors
    ious = best_ious(boxes.boxes, anchors, boxes.canvas)
    counts = np.bincount(boxes.images, minlength=boxes.image_count)
    means = np.bincount(boxes.images, weights=ious, minlength=boxes.image_count) / np.maximum(counts, 1)
    order = [index for index in np.argsort(means, kind="stable").tolist() if counts[index]]
    chosen = {"worst": order[0], "median": order[len(order) // 2], "densest": int(counts.argmax())}
    for name, index in chosen.items():
        rows = np.flatnonzero(boxes.images == index)
        title = f"{name}: {train.images[index].name}, mean best IoU {means[index]:.2f}; dashed: the best anchor"
        canvas = Pillow.fromarray(place_on_canvas(train.images[index], boxes.canvas))
        yield name, _annotated(canvas, boxes.select(rows), advice.best, ious[rows], title)


def _annotated(canvas: Pillow.Image, boxes: CanvasBoxes, best: FittedAnchors, ious: Floats, title: str) -> Pillow.Image:
    """The canvas, enlarged, with boxes in white, the best anchor of each dashed, and its IoU."""
    scale = max(1.0, LONG_SIDE_PX / max(canvas.size))
    enlarged = canvas.resize((round(canvas.width * scale), round(canvas.height * scale)), Pillow.Resampling.BICUBIC)
    picture = Pillow.new("RGB", (enlarged.width, enlarged.height + TITLE_PX), (0, 0, 0))
    picture.paste(enlarged, (0, TITLE_PX))
    draw = ImageDraw.Draw(picture)
    draw.text((6, TITLE_PX / 2), title, fill=BOX_COLOUR, font=ImageFont.load_default(16), anchor="lm")
    anchors = best_anchors(boxes.boxes, best.anchors, boxes.canvas)
    for box, anchor, iou in zip(boxes.boxes * scale, anchors * scale, ious.tolist(), strict=True):
        y1, x1, y2, x2 = (float(value) for value in box)
        draw.rectangle((x1, y1 + TITLE_PX, x2, y2 + TITLE_PX), outline=BOX_COLOUR, width=2)
        _dashed(draw, tuple(float(value) for value in anchor), ORANGE if iou < 0.5 else BLUE)
        place = (x1 + 3, y1 + TITLE_PX + 2)
        font = ImageFont.load_default(14)
        draw.text(place, f"{iou:.2f}", fill=TEXT_COLOUR, font=font, stroke_width=2, stroke_fill=(0, 0, 0))
    return picture


def _dashed(draw: ImageDraw.ImageDraw, box: tuple[float, ...], colour: Colour, *, dash_px: float = 7.0) -> None:
    y1, x1, y2, x2 = box
    for (start_x, start_y), (end_x, end_y) in (
        ((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1)),
    ):  # fmt: skip
        length = max(abs(end_x - start_x), abs(end_y - start_y))
        for begin in np.arange(0.0, length, 2 * dash_px).tolist():
            ends = [begin / length, min(begin + dash_px, length) / length]
            places = [
                (start_x + share * (end_x - start_x), start_y + share * (end_y - start_y) + TITLE_PX) for share in ends
            ]
            draw.line([*places[0], *places[1]], fill=colour, width=3)
