"""Pictures of a diagnosis, as PNG files: box shapes with the anchors, coverage by size, sheets of images."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from detector.config import POSITIVE_IOU, ConfigError
from detector.data.dataset import Dataset
from search.doctor.anchor_advice import AnchorAdvice
from search.doctor.diagnosis import Diagnosis
from search.doctor.image_sheets import compared, image_sheets
from search.drawing.figure import GREY, encoded, new_figure, plain_log_axis
from spaces.anchor_fit import HALF_IOU, anchor_shapes, best_ious

MOST_DOTS = 4000
SIZE_BOUNDS_PX = (0, 4, 8, 16, 32, 64, 128, 256, np.inf)


def draw_diagnosis(diagnosis: Diagnosis, folder: Path) -> list[Path]:
    """Draw what there is into the folder, which is made if need be; returns the files. Same data, same bytes.

    Raises:
        ConfigError: the folder can't be written to, or an image can't be decoded.
    """
    if diagnosis.anchors is None or diagnosis.train is None:
        return []
    pictures = {f"{name}.png": picture for name, picture in _pictures(diagnosis.anchors, diagnosis.train)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            (folder / name).write_bytes(picture)
    except OSError as error:
        raise ConfigError(
            f"{folder}: pictures can't be written there ({error.strerror}); name another folder"
        ) from None
    return [folder / name for name in pictures]


def draw_shapes(axes: Axes, advice: AnchorAdvice) -> None:
    """Width and height of boxes as points, those of anchors as crosses."""
    boxes = advice.boxes.boxes
    chosen = boxes[np.unique(np.linspace(0, len(boxes) - 1, MOST_DOTS).astype(int))]
    heights, widths = (chosen[:, axis + 2] - chosen[:, axis] for axis in (0, 1))
    axes.scatter(widths, heights, s=12, color=GREY, alpha=0.5, linewidths=0, label="boxes")
    for each in compared(advice):
        heights, widths = anchor_shapes(each.fitted.anchors)
        around = [withStroke(linewidth=6, foreground="white")]  # so that they stand out among points
        (crosses,) = axes.plot(widths, heights, "+", color=each.colour, markersize=13, markeredgewidth=3)
        crosses.set(path_effects=around, label=f"{each.name}, {each.fitted.anchors.per_cell} a cell")
    plain_log_axis(axes, "x", base=2)
    plain_log_axis(axes, "y", base=2)
    axes.set_title(f"{len(boxes)} training boxes on the canvas of {advice.boxes.canvas}, and the anchors", loc="left")
    axes.set_xlabel("width, canvas pixels")
    axes.set_ylabel("height, canvas pixels")
    axes.legend()


def draw_coverage(axes: Axes, advice: AnchorAdvice) -> None:
    """The share of boxes that anchors reach, by size: pale from an IoU of 0.5, full from 0.7."""
    bins = np.digitize(advice.boxes.sizes_px, SIZE_BOUNDS_PX[1:-1])
    used = np.unique(bins)
    sets = compared(advice)
    width = 0.8 / (2 * len(sets))
    for index, each in enumerate(sets):
        ious = best_ious(advice.boxes.boxes, each.fitted.anchors, advice.boxes.canvas)
        pale = [(1 + part) / 2 for part in to_rgb(each.colour)]
        for step, (least, shade) in enumerate(((HALF_IOU, pale), (POSITIVE_IOU, each.colour))):
            shares = [float((ious[bins == group] >= least).mean()) for group in used]
            places = np.arange(len(used)) + (2 * index + step + 0.5) * width - 0.4
            bars = axes.bar(places, shares, 0.95 * width, color=shade, label=f"{each.name}, IoU ≥ {least}")
            axes.bar_label(bars, [f"{share:.0%}" for share in shares], fontsize=8)
    axes.set_xticks(range(len(used)), [f"{_size_range(group)}\n{(bins == group).sum()} boxes" for group in used])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(visible=False, axis="x")
    axes.set_title("share of boxes with a best IoU of at least 0.5 (pale) and 0.7 (full)", loc="left", pad=44)
    axes.set_xlabel("size (root of the area), canvas pixels")
    axes.legend(ncols=len(sets), loc="lower left", bbox_to_anchor=(0, 1))


def _pictures(advice: AnchorAdvice, train: Dataset) -> Iterator[tuple[str, bytes]]:
    for name, draw in (("shapes", draw_shapes), ("coverage", draw_coverage)):
        with new_figure(width_in=9.6, height_in=7.2) as figure:
            draw(figure.subplots(), advice)
            yield name, encoded(figure, "png")
    for name, picture in image_sheets(advice, train, compared(advice)):
        yield f"image-{name}", picture


def _size_range(group: int) -> str:
    low, high = SIZE_BOUNDS_PX[group : group + 2]
    return f"{low:g} and more" if np.isinf(high) else f"{low:g} to {high:g}"
