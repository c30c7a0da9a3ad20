"""A sheet of pictures side by side, each under its title, with a legend of the colours below; by Pillow."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image as Pillow
from PIL import ImageDraw

from search.drawing.boxes_on_image import draw_dashes, font

GAP_PX, LINE_PX, SAMPLE_PX = 12, 26, 46
HEADING_PX, TEXT_PX = 19, 16  # heights of letters


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture and what it shows."""

    title: str
    picture: Pillow.Image


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """What a kind of line means."""

    colour: str
    meaning: str
    dashed: bool = False


def sheet(heading: str, panels: Sequence[Panel], legend: Sequence[LegendEntry]) -> bytes:
    """The sheet as a PNG file, wide enough for its pictures and its words. Same pictures, same bytes."""
    titled = [max(panel.picture.width, _width(panel.title, TEXT_PX)) for panel in panels]
    words = [_width(heading, HEADING_PX), *(SAMPLE_PX + GAP_PX + _width(each.meaning, TEXT_PX) for each in legend)]
    width = 2 * GAP_PX + max(sum(titled) + GAP_PX * (len(panels) - 1), *words)
    top = GAP_PX + 2 * LINE_PX
    bottom = top + max(panel.picture.height for panel in panels) + GAP_PX
    paper = Pillow.new("RGB", (width, bottom + LINE_PX * len(legend) + GAP_PX), "#202020")
    draw = ImageDraw.Draw(paper)
    draw.text((GAP_PX, GAP_PX), heading, fill="white", font=font(HEADING_PX))
    left = GAP_PX
    for panel, taken in zip(panels, titled, strict=True):
        draw.text((left, top - LINE_PX), panel.title, fill="white", font=font(TEXT_PX))
        paper.paste(panel.picture, (left, top))
        left += taken + GAP_PX
    for row, entry in enumerate(legend):
        _draw_entry(draw, entry, bottom + row * LINE_PX)
    stream = io.BytesIO()
    paper.save(stream, format="PNG")
    return stream.getvalue()


def _draw_entry(draw: ImageDraw.ImageDraw, entry: LegendEntry, top: int) -> None:
    corners = (GAP_PX, top + 3, GAP_PX + SAMPLE_PX, top + LINE_PX - 5)
    if entry.dashed:
        draw_dashes(draw, corners, entry.colour, width_px=3)
    else:
        draw.rectangle(corners, outline=entry.colour, width=3)
    draw.text((2 * GAP_PX + SAMPLE_PX, top + 2), entry.meaning, fill="white", font=font(TEXT_PX))


def _width(text: str, size_px: int) -> int:
    return round(font(size_px).getlength(text)) + 1
