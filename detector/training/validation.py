"""The evaluation of a trial: a pass over the validation images, their detections, and COCO's metrics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from detector.backend import to_device, to_host
from detector.boxes import Tensor
from detector.data.batches import evaluation_batches
from detector.data.dataset import Dataset
from detector.data.image_cache import CanvasCache
from detector.data.metrics.average_precision import Detections, coco_metrics
from detector.data.metrics.early_figures import Boxes, recall
from detector.data.stratum import stratified
from detector.setup import Progress

Predict = Callable[[Tensor, Tensor], dict[str, Tensor]]  # of images [B, H, W, 3] and extents [B, 2]; see `PredictStep`

WORTH = 0.15  # validation images for each trained one: a tenth of a rung, at half the cost of a training step
FEWEST_IMAGES = 32  # below, ranks are noise


def images_worth(trained: int) -> int:
    """On how many images a trial is evaluated that has seen so many."""
    return max(FEWEST_IMAGES, round(WORTH * trained))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """What was found in each image of the dataset, in original pixels, and the figures of it."""

    dataset: Dataset
    detections: Sequence[Detections]
    metrics: dict[str, float]


class Validation:
    """The images of a dataset that every trial is evaluated on: the first `images`, or all."""

    def __init__(self, dataset: Dataset, cache: CanvasCache, images: int | None) -> None:
        self._dataset = dataset
        self._cache = cache
        self._count = min(len(dataset.images), images or len(dataset.images))
        self._parts: dict[int, tuple[list[int], Dataset]] = {}  # by how many images

    def evaluated(
        self, predict: Predict, batch_size: int, on_progress: Progress, *, most_images: int | None = None
    ) -> Evaluation:
        """What is predicted, with COCO's metrics of it and the share of the objects that proposals overlap by half.

        `most_images` takes part of the images, the same each time; `on_progress` hears of every batch.
        """
        places, part = self._part(most_images or self._count)
        found = self._found(predict, batch_size, on_progress, places)
        detections = [one for one, _ in found]
        proposed = recall(part.images, [proposals for _, proposals in found])
        counted = {"validation_images": float(len(places)), "proposal_recall": proposed}
        return Evaluation(dataset=part, detections=detections, metrics=coco_metrics(part, detections) | counted)

    def _part(self, images: int) -> tuple[list[int], Dataset]:
        """Places of so many of the images, the same each time, and the dataset of these alone."""
        if images not in self._parts:
            places = stratified(self._dataset.select(range(self._count)), images)
            self._parts[images] = places, self._dataset.select(places)
        return self._parts[images]

    def _found(
        self, predict: Predict, batch_size: int, on_progress: Progress, places: Sequence[int]
    ) -> list[tuple[Detections, Boxes]]:
        """Detections and proposals on each image at those places, in original pixels."""
        found: list[tuple[Detections, Boxes]] = []
        for images, extents, indices in evaluation_batches(self._cache, places, batch_size):
            on_progress("evaluating", len(found), len(places))
            outputs = {name: to_host(value) for name, value in predict(to_device(images), to_device(extents)).items()}
            for row, index in enumerate(indices):
                scale = self._cache.scales[index]
                proposals = outputs["proposals"][row][outputs["proposal_valid"][row]] / scale
                found.append((detections_of(outputs, row, scale=scale), proposals))
        return found


def detections_of(outputs: dict[str, np.ndarray], row: int, *, scale: np.float32) -> Detections:
    """What a step predicted for one image of its batch, in pixels of the original; `scale` is the image's."""
    kept = outputs["scores"][row] > 0
    return Detections(
        boxes=outputs["boxes"][row][kept] / scale,
        scores=outputs["scores"][row][kept],
        labels=outputs["classes"][row][kept].astype(np.int32),
    )
