"""An image of a dataset with boxes drawn on it, by Pillow.

Words keep to ASCII: the font that Pillow brings has little more.
"""

import io

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont, ImageOps

from detector.config import Canvas
from detector.data.dataset import Image
from detector.data.image_cache import place_on_canvas
from spaces.anchor_fit import Floats

TEXT_COLOUR = (255, 255, 0)
TITLE_PX, DASH_PX = 26, 7


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

    def outline(self, boxes: Floats, colour: str, *, width_px: int = 1, dashed: bool = False) -> None:
        """Draw the sides of the boxes."""
        for y1, x1, y2, x2 in (boxes * self._scale).tolist():
            if not dashed:
                self._draw.rectangle((x1, y1, x2, y2), outline=colour, width=width_px)
                continue
            for start in np.arange(x1, x2, 2 * DASH_PX).tolist():
                for y in (y1, y2):
                    self._draw.line((start, y, min(start + DASH_PX, x2), y), fill=colour, width=width_px)
            for start in np.arange(y1, y2, 2 * DASH_PX).tolist():
                for x in (x1, x2):
                    self._draw.line((x, start, x, min(start + DASH_PX, y2)), fill=colour, width=width_px)

    def label(self, boxes: Floats, texts: list[str]) -> None:
        """Write a text into the upper left corner of each box."""
        font = ImageFont.load_default(14)
        for (y1, x1, _, _), text in zip((boxes * self._scale).tolist(), texts, strict=True):
            self._draw.text((x1 + 3, y1 + 2), text, fill=TEXT_COLOUR, font=font, stroke_width=2, stroke_fill="black")

    def png(self, *, title: str = "") -> bytes:
        """The picture as a PNG file; a title stands above it."""
        picture = ImageOps.expand(self._picture, border=(0, TITLE_PX if title else 0, 0, 0), fill="black")
        font = ImageFont.load_default(16)
        ImageDraw.Draw(picture).text((6, TITLE_PX / 2), title, fill="white", font=font, anchor="lm")
        stream = io.BytesIO()
        picture.save(stream, format="PNG")
        return stream.getvalue()
