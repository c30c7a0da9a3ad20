"""Precision over recall, a line for each class."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np

from detector.data.metrics.class_figures import ClassFigures
from search.drawing.figure import COLOURS, GREY, encoded, new_figure
from search.terminal import visible

MOST_NAMED = 14  # two styles of seven colours; beyond that a line has no name that an eye could find
STYLES = ("-", "--")


def precision_recall_png(classes: Sequence[ClassFigures]) -> bytes:
    """The curves of all classes with annotated boxes, as PNG; beyond 14 all are grey, and their mean is drawn."""
    shown = [each for each in classes if each.recalls.size]
    named = len(shown) <= MOST_NAMED
    with new_figure(width_in=7.5, height_in=4.5) as figure:
        axes = figure.add_subplot()
        for number, (each, colour) in enumerate(zip(shown, cycle(COLOURS), strict=False)):
            label = f"{visible(each.name)} (AP50 {each.ap50:.3f})" if named else None
            style = STYLES[number // len(COLOURS) % len(STYLES)] if named else "-"
            width = 1.8 if named else 0.6
            axes.plot(
                each.recalls, each.precisions, color=colour if named else GREY, linestyle=style, linewidth=width,
                label=label,
            )  # fmt: skip
        if shown and not named:
            mean = np.mean([each.precisions for each in shown], axis=0)
            axes.plot(shown[0].recalls, mean, color=COLOURS[0], linewidth=2.5, label=f"mean of {len(shown)} classes")
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision", title="Precision at IoU 0.5")
        if shown:
            figure.legend(loc="outside right upper")
        return encoded(figure, "png")
