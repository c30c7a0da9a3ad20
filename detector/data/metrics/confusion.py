"""Which class is taken for which: annotated boxes against detections, matched whatever their class by COCOeval."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector.data.dataset import Dataset
from detector.data.metrics.average_precision import Detections, prepared_evaluation

MATCH_IOU = 0.5


def confusion(dataset: Dataset, detections: Sequence[Detections], *, least_score: float) -> NDArray[np.int64]:
    """Counts by annotated class (row) and detected class (column), [K + 1, K + 1]; the last of each is the background.

    Detections with at least that score take annotated boxes with IoU 0.5 or more, best score first, each the one that
    it covers best. A box that none takes is background to the detector; a detection that takes none found background,
    unless it lies in a crowd.

    Raises:
        ValueError: as `coco_metrics`.
    """
    evaluation = prepared_evaluation(dataset, [_from(found, least_score) for found in detections])
    settings = evaluation.params
    settings.useCats, settings.iouThrs = 0, np.array([MATCH_IOU])
    settings.areaRng, settings.areaRngLbl = settings.areaRng[:1], settings.areaRngLbl[:1]  # all
    settings.maxDets = [max(1, *(len(found.scores) for found in detections))]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
    background = len(dataset.classes)
    counts = np.zeros((background + 1, background + 1), np.int64)
    true = {number: entry["category_id"] - 1 for number, entry in evaluation.cocoGt.anns.items()}
    guessed = {number: entry["category_id"] - 1 for number, entry in evaluation.cocoDt.anns.items()}
    for image in filter(None, evaluation.evalImgs):
        of_detections = zip(image["dtIds"], image["dtMatches"][0], image["dtIgnore"][0], strict=True)
        for number, taken, ignored in of_detections:
            if not ignored:
                counts[true[int(taken)] if taken else background, guessed[number]] += 1
        for number, taker, ignored in zip(image["gtIds"], image["gtMatches"][0], image["gtIgnore"], strict=True):
            if not (ignored or taker):
                counts[true[number], background] += 1
    return counts


def _from(found: Detections, least_score: float) -> Detections:
    kept = found.scores >= least_score
    return Detections(boxes=found.boxes[kept], scores=found.scores[kept], labels=found.labels[kept])
