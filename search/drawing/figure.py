"""matplotlib as this program uses it: one set of settings and colours, and no window. Same data, same bytes."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

#: Okabe and Ito's, told apart by everyone.
BLUE, ORANGE, GREEN, PINK = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
YELLOW, SKY, GREY = "#e69f00", "#56b4e9", "#777777"
COLOURS = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, GREY)

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "path",  # a page must look the same where a font is missing
    "svg.hashsalt": "frcnn-search",
    "savefig.dpi": 150,
    "text.parse_math": False,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


@contextmanager
def new_figure(*, width_in: float, height_in: float) -> Iterator[Figure]:
    """An empty figure with our settings, which hold until the end of the context: encode it within."""
    with mpl.rc_context(_SETTINGS):
        yield Figure(figsize=(width_in, height_in), layout="constrained")


def encoded(figure: Figure, file_format: Literal["svg", "png"]) -> bytes:
    """The figure as a file of that format, without a date or a version."""
    stream = io.BytesIO()
    unsaid: dict[str, None] = {"Date": None} if file_format == "svg" else {"Software": None}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # of a script that the font lacks: it draws boxes
        figure.savefig(stream, format=file_format, metadata=unsaid)
    return stream.getvalue()


def plain_log_axis(axes: Axes, name: Literal["x", "y"], *, base: float = 10) -> None:
    """Make it logarithmic, with numbers as 0.001 rather than as powers, which would need mathematical text."""
    (axes.set_xscale if name == "x" else axes.set_yscale)("log", base=base)
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
