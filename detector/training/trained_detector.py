"""A trained detector, to be used: its network, its one evaluation step, and what it finds in pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from detector.backend import on_device, to_device, to_host
from detector.boxes import Tensor
from detector.data.dataset import Image
from detector.data.image_cache import letterbox, place_on_canvas
from detector.data.metrics.average_precision import Detections
from detector.detector_facts import DetectorFacts
from detector.network.weights import load_weights
from detector.training.compiled_steps import CompiledSteps
from detector.training.inputs import trial_inputs
from detector.training.validation import detections_of


class TrainedDetector:
    """The detector of a file of weights."""

    def __init__(self, facts: DetectorFacts, weights: Path) -> None:
        """Builds the network; the step is compiled when it is first used.

        Raises:
            ConfigError: the file does not hold this detector's weights.
        """
        self.facts = facts
        steps = CompiledSteps.of(facts.shape, lambda network: load_weights(network, weights, whole=True))
        self._step = steps.predict_step
        self._weights = [to_device(to_host(variable)) for variable in steps.network.trainable]
        self._frozen = [to_device(to_host(variable)) for variable in steps.network.frozen]
        self._inputs = on_device(trial_inputs(facts.hyperparameters, facts.shape, seed=0))

    def predict(self, images: Tensor, extents: Tensor) -> dict[str, Tensor]:
        """Boxes in canvas pixels, scores and classes of images [B, H, W, 3] on the canvas; see `PredictStep`."""
        return self._step(self._weights, self._frozen, images, extents, self._inputs)

    def detect(self, images: Sequence[Image]) -> Iterator[Detections]:
        """What it finds in each image, in pixels of the original, best first.

        Raises:
            DataError: an image can't be decoded.
        """
        size, canvas = self.facts.shape.micro_batch, self.facts.shape.canvas
        for start in range(0, len(images), size):
            batch = images[start : start + size]
            filled = [batch[index % len(batch)] for index in range(size)]
            pixels = np.stack([place_on_canvas(image, canvas) for image in filled])
            scales, extents = zip(*(letterbox(image, canvas) for image in filled), strict=True)
            outputs = self.predict(to_device(pixels), to_device(np.array(extents, np.float32)))
            found = {name: to_host(value) for name, value in outputs.items()}
            for row in range(len(batch)):
                yield detections_of(found, row, scale=np.float32(scales[row]))
