"""A confusion matrix as a picture: shares of each row as colour, counts as numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.drawing.figure import encoded, new_figure
from search.terminal import visible

MOST_NUMBERED = 25  # classes; more leave no room for numbers
LARGEST_IN = 22.0


def confusion_png(counts: NDArray[np.int64], names: Sequence[str], *, title: str) -> bytes:
    """The matrix as PNG; `names` are those of its rows and of its columns."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side_in = min(LARGEST_IN, 2.5 + 0.55 * len(names))
    with new_figure(width_in=side_in + 1, height_in=side_in) as figure:
        axes = figure.add_subplot()
        picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.grid(visible=False)
        labels = [visible(name) for name in names]
        axes.set_xticks(range(len(names)), labels, rotation=90)
        axes.set_yticks(range(len(names)), labels)
        axes.set(xlabel="detected", ylabel="annotated", title=title)
        if len(names) <= MOST_NUMBERED:
            for (row, column), count in np.ndenumerate(counts):
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(count) if count else "", ha="center", va="center", color=colour)
        figure.colorbar(picture, ax=axes, label="share of the row", fraction=0.05)
        return encoded(figure, "png")
