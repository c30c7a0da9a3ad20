"""What an evaluation leaves in a folder, as tables and as pictures.

per_class.csv                              AP, AP50, AR and annotated boxes of each class
precision_recall.csv, precision_recall.png at IoU 0.5, by class
confusion.csv, confusion.png               annotated by detected class, with the background as the last of both
"""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from detector.config import ConfigError
from detector.data.dataset import Dataset
from detector.data.metrics.class_figures import ClassFigures, class_figures
from detector.data.metrics.confusion import confusion
from detector.whole_file import write_whole
from search.drawing.confusion_matrix import confusion_png
from search.drawing.precision_recall import precision_recall_png

if TYPE_CHECKING:
    from detector.data.metrics.average_precision import Detections

LEAST_SCORE = 0.5
FILES = ("per_class.csv", "precision_recall.csv", "precision_recall.png", "confusion.csv", "confusion.png")
BACKGROUND = "background"


def write_evaluation(
    folder: Path, dataset: Dataset, detections: "Sequence[Detections]", *, least_score: float = LEAST_SCORE
) -> None:
    """Write the files, in their order; objects below the score do not count in the confusion matrix.

    Raises:
        ConfigError: the folder cannot be written.
    """
    figures = class_figures(dataset, detections)
    counts = confusion(dataset, detections, least_score=least_score)
    names = (*dataset.classes, BACKGROUND)
    title = f"Boxes at IoU 0.5, scores from {least_score:g}"
    contents = (
        _table(("class", "AP", "AP50", "AR", "boxes"), map(_row, figures)),
        _table(("class", "recall", "precision", "score"), (row for each in figures for row in _curve(each))),
        precision_recall_png(figures),
        _table(("annotated", *names), ((name, *row) for name, row in zip(names, counts.tolist(), strict=True))),
        confusion_png(counts, names, title=title),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in zip(FILES, contents, strict=True):
            write_whole(folder / name, partial(_write, content))
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}); choose another --output") from error


def _row(figures: ClassFigures) -> tuple[object, ...]:
    return (figures.name, *(_number(value) for value in (figures.ap, figures.ap50, figures.ar)), figures.boxes)


def _curve(figures: ClassFigures) -> Iterable[tuple[object, ...]]:
    rows = zip(figures.recalls.tolist(), figures.precisions.tolist(), figures.scores.tolist(), strict=True)
    return ((figures.name, f"{recall:.2f}", _number(precision), _number(score)) for recall, precision, score in rows)


def _number(value: float) -> str:
    """Six digits; nothing where there is no figure."""
    return "" if math.isnan(value) else f"{value:.6f}"


def _table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(rows)
    return text.getvalue().encode(errors="backslashreplace")  # of a class, JSON may hold half a character


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)
