"""Sampling: a fixed number of slots per image filled with random positives and negatives.

Shapes: B images, N candidates (anchors or proposals), S slots. Labels and kinds are 1 positive, 0 negative, -1 neither
(an ignored candidate, an unused slot).
"""

from keras import ops

from detector.boxes import Tensor
from detector.network.matching import IGNORED, NEGATIVE, POSITIVE

# count × fraction in float32 may fall just below the whole number that is meant.
ROUNDING_SLACK = 1e-4


def sample(
    labels: Tensor, keys: Tensor, *, slots: int, count: Tensor, positive_fraction: Tensor
) -> tuple[Tensor, Tensor]:
    """Indices int32 [B, S] of the chosen candidates and their kinds int32 [B, S], positives first.

    At most ⌊count · positive_fraction⌋ positives, then negatives until there are `count` (at most `slots`), as
    Detectron2. Which ones depends only on `keys` [B, N], random numbers in [0, 1): the largest win. No candidate is
    chosen twice. Unused slots have kind -1 and index 0.
    """
    count = ops.cast(count, "float32")
    limit = ops.cast(ops.floor(count * positive_fraction + ROUNDING_SLACK), "int32")
    positives, found = _largest(labels, keys, kind=POSITIVE, slots=slots)  # [B, S], [B, 1]
    negatives, negatives_found = _largest(labels, keys, kind=NEGATIVE, slots=slots)

    slot = ops.arange(slots, dtype="int32")[None, :]  # [1, S]
    taken = ops.minimum(found, limit)  # [B, 1]
    rank = slot - taken  # of the negative that the slot would hold
    is_positive = slot < taken
    is_negative = ops.logical_and(rank >= 0, rank < negatives_found)
    within = slot < ops.cast(count, "int32")

    kinds = ops.where(is_positive, POSITIVE, ops.where(is_negative, NEGATIVE, IGNORED))
    kinds = ops.cast(ops.where(within, kinds, IGNORED), "int32")
    shifted = ops.take_along_axis(negatives, ops.clip(rank, 0, slots - 1), axis=1)
    indices = ops.where(is_positive, positives, shifted)
    return ops.where(kinds == IGNORED, 0, indices), kinds


def _largest(labels: Tensor, keys: Tensor, *, kind: int, slots: int) -> tuple[Tensor, Tensor]:
    """Candidates of one kind by falling key, int32 [B, S], and how many of them are real, int32 [B, 1]."""
    available = min(slots, labels.shape[1])
    values, indices = ops.top_k(ops.where(labels == kind, keys, -1.0), k=available)
    found = ops.sum(ops.cast(values >= 0, "int32"), axis=1, keepdims=True)
    return ops.pad(ops.cast(indices, "int32"), ((0, 0), (0, slots - available))), found
