"""The order in which a trial sees its images, and the arrays of one micro-batch.

Sample number n of a trial is the same image for every batch size, micro-batch and resume: the order hangs only on the
trial's seed. Arrays: B images of the micro-batch, H × W canvas, G ground-truth slots.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from detector.data.dataset import Dataset
from detector.data.image_cache import CanvasCache


class TrainingBatches:
    """Micro-batches from the decoded canvases: every trainable image once per epoch, in an order drawn for each."""

    def __init__(self, dataset: Dataset, cache: CanvasCache, slots: int) -> None:
        self._cache = cache
        self._trainable = np.asarray(dataset.trainable)
        self._drawn: tuple[int, int] | None = None
        self._permutation = self._trainable
        self._names = [image.name for image in dataset.images]
        count = len(dataset.images)
        self._boxes = np.zeros((count, slots, 4), np.float32)  # canvas pixels
        self._classes = np.zeros((count, slots), np.int32)
        self._valid = np.zeros((count, slots), bool)
        for index in self._trainable:
            image = dataset.images[index]
            kept = np.flatnonzero(~image.crowd)
            self._boxes[index, : len(kept)] = image.boxes[kept] * cache.scales[index]
            self._classes[index, : len(kept)] = image.labels[kept]
            self._valid[index, : len(kept)] = True

    def arrays(self, seed: int, first_sample: int, count: int) -> dict[str, np.ndarray]:
        """Samples `first_sample` and the `count - 1` after it."""
        samples = np.arange(first_sample, first_sample + count)
        chosen = np.array([self._image_at(seed, sample) for sample in samples.tolist()])
        return {
            "images": np.stack([self._cache.pixels[index] for index in chosen]),
            "extents": self._cache.extents[chosen],
            "boxes": self._boxes[chosen],
            "valid": self._valid[chosen],
            "classes": self._classes[chosen],
            "index": samples.astype(np.int32),
        }

    def names(self, seed: int, first_sample: int, count: int) -> list[str]:
        """File names of the same samples, relative to the folder of images."""
        return [self._names[self._image_at(seed, sample)] for sample in range(first_sample, first_sample + count)]

    def _image_at(self, seed: int, sample: int) -> int:
        epoch, position = divmod(sample, len(self._trainable))
        return int(self._trainable[self._order(seed, epoch)[position]])

    def _order(self, seed: int, epoch: int) -> np.ndarray:
        if self._drawn != (seed, epoch):
            self._drawn = (seed, epoch)
            self._permutation = np.random.default_rng((seed, epoch)).permutation(len(self._trainable))
        return self._permutation


def evaluation_batches(
    cache: CanvasCache, places: Sequence[int], batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images [B, H, W, 3] at those places, extents [B, 2] and the places; the last batch is filled up with repeats."""
    for start in range(0, len(places), batch_size):
        indices = np.asarray(places[start : start + batch_size])
        filled = np.resize(indices, batch_size)
        yield np.stack([cache.pixels[index] for index in filled]), cache.extents[filled], indices
