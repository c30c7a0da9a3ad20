"""The evaluation of a trial: a pass over the validation images, their detections, and COCO's metrics."""

from collections.abc import Callable

import numpy as np

from detector.backend import to_device, to_host
from detector.boxes import Tensor
from detector.data.average_precision import Detections, coco_metrics
from detector.data.batches import evaluation_batches
from detector.data.dataset import Dataset
from detector.data.image_cache import CanvasCache
from detector.setup import Progress

Predict = Callable[[Tensor, Tensor], dict[str, Tensor]]  # of images [B, H, W, 3] and extents [B, 2]; see `PredictStep`


class Validation:
    """The images of a dataset that every trial is evaluated on: the first `images`, or all."""

    def __init__(self, dataset: Dataset, cache: CanvasCache, images: int | None) -> None:
        self._dataset = dataset
        self._cache = cache
        self._count = min(len(dataset.images), images or len(dataset.images))

    def metrics(self, predict: Predict, batch_size: int, on_progress: Progress) -> dict[str, float]:
        """COCO's metrics of what is predicted; `on_progress` hears of every batch."""
        return coco_metrics(self._dataset, self.detections(predict, batch_size, on_progress))

    def detections(self, predict: Predict, batch_size: int, on_progress: Progress) -> list[Detections]:
        """Detections on each image, in original pixels; `on_progress` hears of every batch."""
        found: list[Detections] = []
        for images, extents, indices in evaluation_batches(self._cache, self._count, batch_size):
            on_progress("evaluating", len(found), self._count)
            outputs = {name: to_host(value) for name, value in predict(to_device(images), to_device(extents)).items()}
            found += [detections_of(outputs, row, scale=self._cache.scales[index]) for row, index in enumerate(indices)]
        return found


def detections_of(outputs: dict[str, np.ndarray], row: int, *, scale: np.float32) -> Detections:
    """What a step predicted for one image of its batch, in pixels of the original; `scale` is the image's."""
    kept = outputs["scores"][row] > 0
    return Detections(
        boxes=outputs["boxes"][row][kept] / scale,
        scores=outputs["scores"][row][kept],
        labels=outputs["classes"][row][kept].astype(np.int32),
    )
