"""COCO's figures of each class by itself, and its curve of precision over recall."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.data.dataset import Dataset
from detector.data.metrics.average_precision import Detections, coco_evaluation

CURVE_IOU = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassFigures:
    """One class. Each figure lies in [0, 1], and is nan where nothing of the class is annotated.

    The curve is at IoU 0.5: the best precision at that recall or beyond, and the score at which it is reached; 0 where
    no score reaches the recall.
    """

    name: str
    boxes: int  # annotated, without crowds
    ap: float  # at IoU .50:.95
    ap50: float
    ar: float  # at IoU .50:.95, with 100 detections
    recalls: NDArray[np.float64]  # [R]: 0, 0.01 … 1; empty where nothing is annotated
    precisions: NDArray[np.float64]  # [R]
    scores: NDArray[np.float64]  # [R]


def class_figures(dataset: Dataset, detections: Sequence[Detections]) -> tuple[ClassFigures, ...]:
    """The figures of every class, by label.

    Raises:
        ValueError: as `coco_metrics`.
    """
    evaluation = coco_evaluation(dataset, detections)
    labels = [image.training_labels for image in dataset.images[: len(detections)]]
    boxes = np.bincount(np.concatenate(labels), minlength=len(dataset.classes))
    return tuple(_of_class(evaluation, label, name, int(boxes[label])) for label, name in enumerate(dataset.classes))


def _of_class(evaluation: Any, label: int, name: str, boxes: int) -> ClassFigures:
    precision = evaluation.eval["precision"][:, :, label, 0, -1]  # [IoU, recall], of all areas
    curve = int(np.argmin(np.abs(evaluation.params.iouThrs - CURVE_IOU)))
    known = bool((precision > -1).all())  # COCOeval marks what is not annotated by -1
    return ClassFigures(
        name=name,
        boxes=boxes,
        ap=float(precision.mean()) if known else float("nan"),
        ap50=float(precision[curve].mean()) if known else float("nan"),
        ar=float(evaluation.eval["recall"][:, label, 0, -1].mean()) if known else float("nan"),
        recalls=evaluation.params.recThrs if known else np.zeros(0),
        precisions=precision[curve] if known else np.zeros(0),
        scores=np.maximum(evaluation.eval["scores"][curve, :, label, 0, -1], 0) if known else np.zeros(0),
    )
