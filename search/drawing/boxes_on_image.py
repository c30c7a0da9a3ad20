"""An image of a dataset with boxes drawn on it, by Pillow."""

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont, ImageOps

from detector.config import Canvas
from detector.data.dataset import Image
from detector.data.image_cache import place_on_canvas
from spaces.anchor_fit import Floats

TEXT_COLOUR = (255, 255, 0)
TITLE_PX, DASH_PX, LABEL_PX = 26, 7, 14


class BoxesOnImage:
    """The image as it lies on the canvas, resized; boxes [n, 4] are given in pixels of the canvas.

    Raises:
        DataError: the image cannot be decoded.
    """

    def __init__(self, image: Image, canvas: Canvas, *, long_side_px: int) -> None:
        self._scale = long_side_px / max(canvas.height_px, canvas.width_px)
        size_px = (round(canvas.width_px * self._scale), round(canvas.height_px * self._scale))
        self._picture = Pillow.fromarray(place_on_canvas(image, canvas)).resize(size_px, Pillow.Resampling.BICUBIC)
        self._draw = ImageDraw.Draw(self._picture)

    @property
    def picture(self) -> Pillow.Image:
        """The picture as it is drawn so far."""
        return self._picture

    def outline(self, boxes: Floats, colour: str, *, width_px: int = 1, dashed: bool = False) -> None:
        """Draw the sides of the boxes."""
        for y1, x1, y2, x2 in (boxes * self._scale).tolist():
            if dashed:
                draw_dashes(self._draw, (x1, y1, x2, y2), colour, width_px=width_px)
            else:
                self._draw.rectangle((x1, y1, x2, y2), outline=colour, width=width_px)

    def label(self, boxes: Floats, texts: list[str]) -> None:
        """Write a text into the upper left corner of each box; below that where another text stands."""
        letters = font(LABEL_PX)
        taken: list[tuple[float, float, float]] = []  # y, and x from … to
        for (y1, x1, _, _), text in zip((boxes * self._scale).tolist(), texts, strict=True):
            length = letters.getlength(text)
            x = min(x1 + 3, max(2, self._picture.width - length - 4))
            y = min(max(y1, 0) + 2, self._picture.height - LABEL_PX - 6)
            while any(abs(y - other) <= LABEL_PX and x < right and left < x + length for other, left, right in taken):
                y += LABEL_PX + 4
            taken.append((y, x, x + length))
            self._draw.text((x, y), text, fill=TEXT_COLOUR, font=letters, stroke_width=2, stroke_fill="black")

    def png(self, *, title: str = "") -> bytes:
        """The picture as a PNG file; a title stands above it."""
        picture = ImageOps.expand(self._picture, border=(0, TITLE_PX if title else 0, 0, 0), fill="black")
        ImageDraw.Draw(picture).text((6, TITLE_PX / 2), title, fill="white", font=font(16), anchor="lm")
        stream = io.BytesIO()
        picture.save(stream, format="PNG")
        return stream.getvalue()


def draw_dashes(
    draw: ImageDraw.ImageDraw, corners: tuple[float, float, float, float], colour: str, *, width_px: int
) -> None:
    """Draw a rectangle of dashes; corners as Pillow has them, x1, y1, x2, y2."""
    x1, y1, x2, y2 = corners
    for start in np.arange(x1, x2, 2 * DASH_PX).tolist():
        for y in (y1, y2):
            draw.line((start, y, min(start + DASH_PX, x2), y), fill=colour, width=width_px)
    for start in np.arange(y1, y2, 2 * DASH_PX).tolist():
        for x in (x1, x2):
            draw.line((x, start, x, min(start + DASH_PX, y2)), fill=colour, width=width_px)


@cache
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """matplotlib's own font, which has the letters of many languages; Pillow's has little more than ASCII."""
    from matplotlib import get_data_path  # loads a part of it, which takes a moment

    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size_px)
