"""A trained detector as one TensorFlow graph: a picture of any size in, its objects in pixels of the picture out.

Shapes: h × w pixels of the picture, H × W of the canvas, D objects.
"""

from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from detector.backend import BACKEND, on_device, to_host
from detector.boxes import Tensor
from detector.config import Canvas, Precision, StepShape, require
from detector.data.image_file import PADDING_RGB
from detector.detector_facts import DetectorFacts
from detector.network.network import Network, build
from detector.network.weights import load_weights
from detector.training.graphs.pillow_resize import resize
from detector.training.inputs import trial_inputs
from detector.training.prediction import PredictStep
from detector.training.step import TrainStep

PICTURE = tf.TensorSpec([None, None, 3], tf.uint8, name="image")


class DetectionGraph(tf.Module):  # type: ignore[misc]
    """`image` [h, w, 3] uint8 RGB to `boxes` [D, 4] xyxy, `scores` [D] and `labels` [D], best first.

    The picture is scaled and padded as `detector.data.image_cache.placeon_canvas` does it, to the bit; what follows is
    `PredictStep` on one image.
    """

    def __init__(self, facts: DetectorFacts, weights: Path, *, precision: Precision | None = None) -> None:
        """Builds the network; `precision` stands over the one that the detector was trained in.

        Raises:
            ConfigError: the file does not hold this detector's weights, or Keras runs on JAX.
        """
        super().__init__(name="detector")
        shape = replace(facts.shape, micro_batch=1, precision=precision or facts.shape.precision)
        network = network_of(shape, weights)
        self._canvas = shape.canvas
        self._step = PredictStep(network, shape, TrainStep(network, shape))
        self._inputs = trial_inputs(facts.hyperparameters, shape, seed=0)
        self._trainable = [tf.Variable(to_host(variable), trainable=False) for variable in network.trainable]
        self._frozen = [tf.Variable(to_host(variable), trainable=False) for variable in network.frozen]

    @tf.function(input_signature=[PICTURE], autograph=False)  # type: ignore[untyped-decorator]
    def detect(self, image: Tensor) -> dict[str, Tensor]:
        """What is found in one picture."""
        pixels, extent, scale = on_canvas(image, self._canvas)
        weights, frozen = ([tf.convert_to_tensor(one) for one in group] for group in (self._trainable, self._frozen))
        found = self._step(weights, frozen, pixels[None], extent[None], on_device(self._inputs))
        kept = found["scores"][0] > 0
        y1, x1, y2, x2 = tf.unstack(tf.boolean_mask(found["boxes"][0], kept) / scale, axis=-1)
        return {
            "boxes": tf.stack([x1, y1, x2, y2], axis=-1),
            "scores": tf.boolean_mask(found["scores"][0], kept),
            "labels": tf.cast(tf.boolean_mask(found["classes"][0], kept), tf.int32),
        }


def network_of(shape: StepShape, weights: Path) -> Network:
    """The network with the file's values.

    Raises:
        ConfigError: the file does not hold them, or Keras runs on JAX.
    """
    require(
        BACKEND == "tensorflow",
        f"models are written by TensorFlow, but KERAS_BACKEND is {BACKEND}; set KERAS_BACKEND=tensorflow for this "
        "command, the weights are the same",
    )
    network = build(shape)
    load_weights(network, weights, whole=True)
    return network


def on_canvas(image: Tensor, canvas: Canvas) -> tuple[Tensor, Tensor, Tensor]:
    """The picture on its canvas [H, W, 3], int32; the height and width [2] that it covers there; its scale."""
    sides = tf.constant([canvas.height_px, canvas.width_px], tf.float64)
    lengths = tf.cast(tf.shape(image)[:2], tf.float64)
    scale = tf.reduce_min(sides / lengths)
    extent = tf.minimum(sides, lengths * scale)
    size = tf.maximum(tf.cast(tf.round(extent), tf.int32), 1)
    colour = tf.constant(PADDING_RGB, tf.int32)
    missing = tf.cast(sides, tf.int32) - size
    padded = tf.pad(resize(image, size) - colour, [[0, missing[0]], [0, missing[1]], [0, 0]]) + colour
    placed = tf.ensure_shape(padded, [canvas.height_px, canvas.width_px, 3])
    return placed, tf.cast(extent, tf.float32), tf.cast(scale, tf.float32)
