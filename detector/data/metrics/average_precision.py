"""COCO average precision at original image coordinates, computed by pycocotools' COCOeval.

Boxes are y1, x1, y2, x2 in pixels of the original image. Crowd boxes are ignored regions, as COCO has it: a
detection that lies in one is neither right nor wrong.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detector.data.dataset import Dataset
from detector.data.metrics.early_figures import recall
from detector.data.metrics.precision_error import precision_error
from detector.object_size import OBJECT_SIZES

MOST_DETECTIONS = 100  # for each class and image
LOOSE_IOUS = (0.1, 0.2, 0.3, 0.4, 0.5)  # at which an object is found before its box fits
AREAS = ("all", *OBJECT_SIZES)  # in COCOeval's order


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """What a detector found in one image. Of each class the 100 with the highest scores count."""

    boxes: NDArray[np.float32]  # [n, 4]
    scores: NDArray[np.float32]  # [n]
    labels: NDArray[np.int32]  # [n] in 0 … K-1


def coco_metrics(dataset: Dataset, detections: Sequence[Detections]) -> dict[str, float]:
    """COCO's figures, each in [0, 1]: ap, ap50, ap75, ar100, ap_small, ap_medium, ap_large and ap/<class>.

    Beside them ap_loose, the AP at IoU 0.1 to 0.5; ap_error, the standard error of ap; and detection_recall, the share
    of the objects that a detection overlaps by half whatever its class.

    `detections` has one entry for each image of the dataset, in its order; if it ends early, only the images so far
    are evaluated. A size or class without ground truth has
    no figure: its key is absent, and means leave it out. The first four are always there; nan if nothing is annotated.
    Detections with a coordinate or score that isn't finite are ignored.

    Raises:
        ValueError: there are more entries than images, or none, or a label is out of range.
    """
    evaluation = coco_evaluation(dataset, detections, also_ious=LOOSE_IOUS[:-1])
    loose, strict = slice(0, len(LOOSE_IOUS)), slice(len(LOOSE_IOUS) - 1, None)
    figures = _figures(evaluation, dataset.classes, strict)
    early = {
        "ap_loose": _mean(evaluation.eval["precision"][loose, :, :, 0, -1]),
        "ap_error": precision_error(evaluation, strict),
        "detection_recall": recall(dataset.images[: len(detections)], [found.boxes for found in detections]),
    }
    return figures | {name: value for name, value in early.items() if not np.isnan(value)}


def coco_evaluation(dataset: Dataset, detections: Sequence[Detections], *, also_ious: Sequence[float] = ()) -> Any:
    """COCOeval after its work, with arrays of precision, recall and scores by IoU, recall, label and area.

    The IoUs that are asked for stand before COCO's ten.

    Raises:
        ValueError: as `coco_metrics`.
    """
    evaluation = prepared_evaluation(dataset, detections)
    evaluation.params.iouThrs = np.concatenate([also_ious, evaluation.params.iouThrs])
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports by printing
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def prepared_evaluation(dataset: Dataset, detections: Sequence[Detections]) -> Any:
    """COCOeval before its work; its ids are image position + 1 and label + 1.

    Raises:
        ValueError: as `coco_metrics`.
    """
    if not 0 < len(detections) <= len(dataset.images):
        raise ValueError(
            f"1 to {len(dataset.images)} entries are needed, one for each image, but got {len(detections)}"
        )
    if len(detections) < len(dataset.images):
        dataset = dataset.select(range(len(detections)))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _indexed(dataset, list(_truth(dataset)))
        found = _indexed(dataset, list(_found(detections, classes=len(dataset.classes))))
        evaluation = COCOeval(truth, found, iouType="bbox")
    evaluation.params.maxDets = [MOST_DETECTIONS]
    return evaluation


def _figures(evaluation: Any, classes: tuple[str, ...], ious: slice) -> dict[str, float]:
    precision = evaluation.eval["precision"][ious, ..., -1]  # [IoU, recall, class, area]
    recalls = evaluation.eval["recall"][ious, ..., -1]  # [IoU, class, area]
    thresholds = list(np.round(evaluation.params.iouThrs[ious], 2))
    figures = {
        "ap": _mean(precision[:, :, :, 0]),
        "ap50": _mean(precision[thresholds.index(0.5), :, :, 0]),
        "ap75": _mean(precision[thresholds.index(0.75), :, :, 0]),
        "ar100": _mean(recalls[:, :, 0]),
    }
    optional = {f"ap_{area}": _mean(precision[..., index]) for index, area in enumerate(AREAS) if index}
    optional |= {f"ap/{name}": _mean(precision[:, :, label, 0]) for label, name in enumerate(classes)}
    return figures | {name: value for name, value in optional.items() if not np.isnan(value)}


def _mean(values: NDArray[np.float64]) -> float:
    """Over what has ground truth; COCOeval marks the rest by -1."""
    present = values[values > -1]
    return float(present.mean()) if present.size else float("nan")


def _indexed(dataset: Dataset, annotations: list[dict[str, Any]]) -> Any:
    """A COCO object over our own ids: image position + 1 and label + 1. An id of 0 would mean `unmatched` inside."""
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number} for number in range(1, len(dataset.images) + 1)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(dataset.classes, start=1)],
        "annotations": [{"id": number, **entry} for number, entry in enumerate(annotations, start=1)],
    }
    coco.createIndex()
    return coco


def _truth(dataset: Dataset) -> Iterator[dict[str, Any]]:
    for number, image in enumerate(dataset.images, start=1):
        sides = _as_coco(image.boxes)
        rows = zip(sides, image.labels.tolist(), image.area.tolist(), image.crowd.tolist(), strict=True)
        for sides_px, label, area, crowd in rows:
            yield {
                "image_id": number, "category_id": label + 1, "bbox": sides_px, "area": area, "iscrowd": int(crowd),
            }  # fmt: skip


def _found(detections: Sequence[Detections], *, classes: int) -> Iterator[dict[str, Any]]:
    for number, entry in enumerate(detections, start=1):
        unknown = sorted({*entry.labels.tolist()} - {*range(classes)})
        if unknown:
            raise ValueError(f"labels must lie in 0 … {classes - 1}, but image {number - 1} has {unknown}")
        finite = np.isfinite(entry.boxes).all(axis=1) & np.isfinite(entry.scores)
        sides = _as_coco(entry.boxes[finite])
        rows = zip(sides, entry.labels[finite].tolist(), entry.scores[finite].tolist(), strict=True)
        for sides_px, label, score in rows:
            yield {
                "image_id": number, "category_id": label + 1, "bbox": sides_px, "score": score,
                "area": sides_px[2] * sides_px[3], "iscrowd": 0,
            }  # fmt: skip


def _as_coco(boxes: NDArray[np.float32]) -> list[list[float]]:
    """[x, y, width, height] of each box. In float64, where the difference of two float32 is exact."""
    y1, x1, y2, x2 = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).T
    sides: list[list[float]] = np.stack([x1, y1, x2 - x1, y2 - y1], axis=1).tolist()
    return sides
