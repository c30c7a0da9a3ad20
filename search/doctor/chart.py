"""Plain charts drawn with Pillow: a scatter on two logarithmic axes, and bars. Sizes are pixels of the picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

Colour = tuple[int, int, int]

WIDTH_PX, HEIGHT_PX = 960, 720
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 80, 30, 110, 84  # margins
INK, GRID, PAPER = (34, 34, 34), (221, 221, 221), (255, 255, 255)
GREY, BLUE, ORANGE = (120, 120, 120), (0, 114, 178), (213, 94, 0)  # Okabe and Ito's: told apart by everyone
FONT_PX, TITLE_PX = 16, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """One series: a value in [0, 1] for each group, or None where there is nothing to show."""

    name: str
    colour: Colour
    values: tuple[float | None, ...]


class Chart:
    """A picture with a title, a legend and two axes, to be drawn into."""

    def __init__(self, title: str, *, x_name: str, y_name: str) -> None:
        self.picture = Pillow.new("RGB", (WIDTH_PX, HEIGHT_PX), PAPER)
        self._draw = ImageDraw.Draw(self.picture)
        self._legend_x = LEFT_PX
        self.text((LEFT_PX, 18), title, size=TITLE_PX)
        self.text((WIDTH_PX - RIGHT_PX, HEIGHT_PX - 12), x_name, anchor="rs")
        self.text((12, TOP_PX - 16), y_name, anchor="ls")

    def text(self, place: tuple[float, float], words: str, *, anchor: str = "la", size: int = FONT_PX) -> None:
        """Words at a place, by Pillow's anchors."""
        self._draw.text(place, words, fill=INK, font=ImageFont.load_default(size), anchor=anchor)

    def legend(self, name: str, colour: Colour) -> None:
        """The next entry of the legend, a swatch and a name."""
        self._draw.rectangle((self._legend_x, 56, self._legend_x + 14, 70), fill=colour)
        self.text((self._legend_x + 22, 63), name, anchor="lm")
        self._legend_x += 52 + int(self._draw.textlength(name, font=ImageFont.load_default(FONT_PX)))

    def log_axes(self, low: float, high: float) -> None:
        """Both axes from `low` to `high`, a line at each power of two."""
        self._low, self._high = math.log2(low), math.log2(high)
        for power in range(math.ceil(self._low), math.floor(self._high) + 1):
            x, y = self.at(2.0**power, 2.0**power)
            self._draw.line((x, TOP_PX, x, HEIGHT_PX - BOTTOM_PX), fill=GRID)
            self._draw.line((LEFT_PX, y, WIDTH_PX - RIGHT_PX, y), fill=GRID)
            self.text((x, HEIGHT_PX - BOTTOM_PX + 8), f"{2.0**power:g}", anchor="ma")
            self.text((LEFT_PX - 8, y), f"{2.0**power:g}", anchor="rm")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the logarithmic axes lies."""
        across, up = ((math.log2(value) - self._low) / (self._high - self._low) for value in (x, y))
        return (
            LEFT_PX + across * (WIDTH_PX - LEFT_PX - RIGHT_PX),
            HEIGHT_PX - BOTTOM_PX - up * (HEIGHT_PX - TOP_PX - BOTTOM_PX),
        )

    def dot(self, x: float, y: float, colour: Colour) -> None:
        """A small point."""
        across, down = self.at(x, y)
        self._draw.ellipse((across - 2, down - 2, across + 2, down + 2), fill=colour)

    def mark(self, x: float, y: float, colour: Colour) -> None:
        """A large cross with a white border, so that it stands out among points."""
        across, down = self.at(x, y)
        for reach, width, ink in ((9, 6, PAPER), (8, 3, colour)):
            self._draw.line((across - reach, down, across + reach, down), fill=ink, width=width)
            self._draw.line((across, down - reach, across, down + reach), fill=ink, width=width)

    def bars(self, groups: Sequence[Sequence[str]], series: Sequence[Bars]) -> None:
        """Bars from 0 to 100 %, one of each series in each group, which has lines of words; and a legend."""
        bottom, height = HEIGHT_PX - BOTTOM_PX, HEIGHT_PX - TOP_PX - BOTTOM_PX
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            y = bottom - share * height
            self._draw.line((LEFT_PX, y, WIDTH_PX - RIGHT_PX, y), fill=GRID)
            self.text((LEFT_PX - 8, y), f"{share:.0%}", anchor="rm")
        room = (WIDTH_PX - LEFT_PX - RIGHT_PX) / max(len(groups), 1)
        for index, group in enumerate(groups):
            for line, words in enumerate(group):
                self.text((LEFT_PX + (index + 0.5) * room, bottom + 8 + 20 * line), words, anchor="ma")
        wide = 0.8 * room / max(len(series), 1)
        for number, each in enumerate(series):
            self.legend(each.name, each.colour)
            for index, value in enumerate(each.values):
                if value is not None:
                    x = LEFT_PX + (index + 0.1) * room + number * wide
                    self._draw.rectangle((x, bottom - value * height, x + wide - 2, bottom), fill=each.colour)
