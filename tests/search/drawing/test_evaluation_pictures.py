"""Pictures of an evaluation: for few classes and many, for names in any script, and for no class at all."""

import io

import numpy as np
import pytest
from PIL import Image

from detector.data.metrics.class_figures import ClassFigures
from search.drawing.confusion_matrix import confusion_png
from search.drawing.precision_recall import precision_recall_png

RECALLS = np.linspace(0, 1, 101)


def curve(name: str, *, known: bool = True) -> ClassFigures:
    values = RECALLS if known else np.zeros(0)
    figure = 0.5 if known else float("nan")
    return ClassFigures(
        name=name, boxes=3, ap=figure, ap50=figure, ar=figure, recalls=values, precisions=1 - values, scores=1 - values
    )


def size(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as picture:
        return picture.size


@pytest.mark.parametrize(
    "names",
    [["cat"], ["猫", "$x$", "\x1b[31m", "\udcff", "_hidden"], [f"class {number}" for number in range(80)], []],
    ids=["one", "odd names", "many", "none"],
)
def test_curves_and_confusions_can_be_drawn(names: list[str]) -> None:
    assert size(precision_recall_png([curve(name) for name in names])) == (1125, 675)  # 7.5 × 4.5 in at 150 dpi
    counts = np.arange((len(names) + 1) ** 2).reshape(len(names) + 1, -1)
    width, height = size(confusion_png(counts, [*names, "background"], title="what"))
    assert width == height + 150
    assert height <= 3300


def test_a_class_without_a_curve_is_left_out() -> None:
    assert precision_recall_png([curve("cat"), curve("dog", known=False)]) == precision_recall_png([curve("cat")])


def test_the_same_figures_give_the_same_bytes() -> None:
    assert precision_recall_png([curve("cat")]) == precision_recall_png([curve("cat")])
