"""Pillow's bilinear resize with `reducing_gap=2.0`, to the bit, as operators of a TensorFlow graph.

Images are scaled by Pillow before a detector sees them (`detector.data.image_file`), so an exported graph must do what
Pillow does: first the mean of whole blocks of pixels, then a triangle around each output pixel, along the rows and then
along the columns, each with its own rounding to 8 bits and weights of 22 bits.

Shapes: h × w pixels of the image, H × W of the result. All but pixels are float64 or int32.
"""

import PIL
import tensorflow as tf

from detector.boxes import Tensor

REDUCING_GAP = 2.0
WEIGHT_BITS, BLOCK_BITS = 22, 24  # of Pillow's fixed-point weights, and of its reciprocals of a block's pixels
TALL_BY_COLUMNS = int(PIL.__version__.split(".")[0]) >= 13  # since then tall images are scaled along the columns first
MOST_TAPS = 9  # pixels that a result can depend on: blocks leave less than a factor of 4, so 2 × 4 and one for rounding


def resize(image: Tensor, size: Tensor) -> Tensor:
    """`image` [h, w, C] uint8 at `size` (H, W) int32, as int32 [H, W, C] of 0 … 255."""
    scales = _exact(tf.shape(image)[:2]) / _exact(size)
    factors = tf.maximum(tf.cast(scales / REDUCING_GAP, tf.int32), 1)
    lengths = _exact(tf.cast(_exact(tf.shape(image)[:2]) / _exact(factors), tf.float32))  # Pillow's parts are float32
    pixels = _means_of_blocks(tf.cast(image, tf.int32), factors)
    removed = tf.shape(pixels)[:2] - size
    columns_first = tf.logical_and(TALL_BY_COLUMNS, removed[0] > tf.maximum(2 * removed[1], 0))
    first = tf.where(columns_first, 0, 1)  # the axis that is scaled first
    pixels = _turned(pixels, columns_first)  # that axis is now the second
    for axis, own in ((1, first), (0, 1 - first)):
        pixels = _resample(pixels, axis, size[own], lengths[own])
    return _turned(pixels, columns_first)


def _exact(integers: Tensor) -> Tensor:
    return tf.cast(integers, tf.float64)


def _turned(pixels: Tensor, whether: Tensor) -> Tensor:
    return tf.cond(whether, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)


def _means_of_blocks(pixels: Tensor, factors: Tensor) -> Tensor:
    """Means of blocks of `factors` (2 integers) pixels; at the right and lower edge a block has what is left."""
    size = tf.shape(pixels)[:2]
    blocks = (size + factors - 1) // factors
    missing = blocks * factors - size
    padded = tf.pad(pixels, [[0, missing[0]], [0, missing[1]], [0, 0]])
    shape = tf.stack([blocks[0], factors[0], blocks[1], factors[1], tf.shape(pixels)[2]])
    sums = _exact(tf.reduce_sum(tf.reshape(padded, shape), axis=(1, 3)))
    high, wide = (tf.minimum(factors[i], size[i] - tf.range(blocks[i]) * factors[i]) for i in range(2))
    count = _exact(high[:, None] * wide[None, :])[..., None]  # [blocks, blocks, 1]
    reciprocal = tf.floor(2.0**BLOCK_BITS / count)
    return tf.cast((sums + tf.floor(count / 2)) * reciprocal * 2.0**-BLOCK_BITS, tf.int32)


def _resample(pixels: Tensor, axis: int, size: Tensor, length: Tensor) -> Tensor:
    """`pixels` with `size` along the axis in place of the `length`, of which the last pixel may be a part."""
    firsts, weights = _triangles(tf.shape(pixels)[axis], size, length)
    last = tf.shape(pixels)[axis] - 1
    total = 2 ** (WEIGHT_BITS - 1)  # rounds
    for tap in range(MOST_TAPS):
        weight = weights[tap][None, :, None] if axis == 1 else weights[tap][:, None, None]
        total = total + tf.gather(pixels, tf.minimum(firsts + tap, last), axis=axis) * weight
    return tf.cast(_exact(total) * 2.0**-WEIGHT_BITS, tf.int32)


def _triangles(available: Tensor, size: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    """The first pixel [size] that each result depends on; weights [MOST_TAPS, size] of it and those after it."""
    scale = length / _exact(size)
    support = tf.maximum(scale, 1.0)
    centres = (_exact(tf.range(size)) + 0.5) * scale
    firsts = tf.maximum(tf.cast(centres - support + 0.5, tf.int32), 0)
    ends = tf.minimum(tf.cast(centres + support + 0.5, tf.int32), available)
    pixels = firsts + tf.range(MOST_TAPS)[:, None]  # [MOST_TAPS, size]
    heights = tf.maximum(1.0 - tf.abs((_exact(pixels) - centres + 0.5) * (1.0 / support)), 0.0)
    heights = tf.where(pixels < ends, heights, tf.zeros_like(heights))
    shares = heights / tf.reduce_sum(heights, axis=0)
    return firsts, tf.cast(0.5 + shares * 2.0**WEIGHT_BITS, tf.int32)
