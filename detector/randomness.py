"""Random numbers that depend on (seed, stream, image) and on nothing else.

Shapes: B images. `keras.random` keeps state or takes seeds fixed at compilation, and its numbers depend on the
position in the batch. Here a number is a hash of a counter: the same image gets the same numbers in any micro-batch,
which is what makes k micro-batches equal one batch of k times the size. Both backends give the same bits.
"""

from enum import IntEnum

import numpy as np
from keras import ops

from detector.boxes import Tensor


class Stream(IntEnum):
    """What the numbers are for; streams are independent of one another."""

    AUGMENTATION = 1
    ANCHOR_SAMPLING = 2
    ROI_SAMPLING = 3


# 2³² / golden ratio, odd: counters spaced by it differ in many bits.
GOLDEN = 0x9E3779B9

# Steps (shift, multiplier) of Chris Wellons' `lowbias32`, the best known of its form:
# https://nullprogram.com/blog/2018/07/31/
MIXING = ((16, 0x7FEB352D), (15, 0x846CA68B))
LAST_SHIFT = 16

MANTISSA_BITS = 24  # of float32: so many random bits fill [0, 1) evenly


def uniform(seed: Tensor, stream: int, index: Tensor, count: int) -> Tensor:
    """Numbers float32 [B, count], uniform in [0, 1), one row for each image of `index` [B].

    `seed` is an integer scalar, traced or not, of which the low 32 bits count; `index` holds integers that name the
    image, and the visit where it should differ between visits.
    """
    key = _mix(_word(seed) + _constant(GOLDEN))
    key = _mix(ops.bitwise_xor(key, _mix(_constant(int(stream) * GOLDEN))))
    key = _mix(ops.bitwise_xor(key, _mix(_word(index) * _constant(GOLDEN) + _constant(1))))[:, None]  # [B, 1]
    # Keyed before and after the inner round: one key alone would make the rows windows of the same long sequence.
    counter = ops.convert_to_tensor(np.arange(count, dtype=np.uint32) * np.uint32(GOLDEN))[None, :]
    bits = _mix(_mix(counter + key) + _mix(key + _constant(GOLDEN)))  # [B, count]
    top = ops.right_shift(bits, _constant(32 - MANTISSA_BITS))
    return ops.cast(top, "float32") * 2.0**-MANTISSA_BITS


def _word(value: Tensor) -> Tensor:
    """The low 32 bits of an integer or of a tensor of integers."""
    if isinstance(value, int):
        return _constant(value)
    return ops.cast(value, "uint32")


def _constant(value: int) -> Tensor:
    return ops.convert_to_tensor(np.uint32(value & 0xFFFFFFFF))


def _mix(word: Tensor) -> Tensor:
    """A bijection of 32-bit words in which every input bit flips about half of the output bits."""
    for shift, multiplier in MIXING:
        word = ops.bitwise_xor(word, ops.right_shift(word, _constant(shift))) * _constant(multiplier)
    return ops.bitwise_xor(word, ops.right_shift(word, _constant(LAST_SHIFT)))
