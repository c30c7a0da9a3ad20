"""Matching: which boxes (anchors or proposals) are positive, negative or ignored, and for which ground truth.

Shapes: B images, N anchors (or proposals), G ground-truth slots. Padded truth and masked anchors take no part: not in
thresholds, not in the low-quality rule, not in the best overlap of anything.
"""

from keras import ops

from detector.boxes import Tensor
from detector.config import LEAST_BEST_IOU, TIE_TOLERANCE

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


def match(
    iou: Tensor,
    anchor_valid: Tensor,
    truth_valid: Tensor,
    *,
    positive_iou: Tensor,
    negative_iou: Tensor,
    low_quality: Tensor,
) -> tuple[Tensor, Tensor]:
    """Labels int32 [B, N] (1 positive, 0 negative, -1 ignored) and the index int32 [B, N] of each one's best truth.

    `iou` is [B, N, G], `anchor_valid` bool [N] or [B, N], `truth_valid` bool [B, G]. Positive from `positive_iou` on,
    negative below `negative_iou`. Where `low_quality` (0 or 1) is set, the anchors with the best overlap of each truth
    are positive as well, however low it is; the index stays the anchor's own best truth, as in Detectron2. Anchors
    that are not valid are ignored. In an image without truth every valid anchor is negative, with index 0.
    """
    anchor_valid = ops.broadcast_to(ops.cast(anchor_valid, "bool"), ops.shape(iou)[:2])  # [B, N]
    both_valid = ops.logical_and(anchor_valid[:, :, None], ops.cast(truth_valid, "bool")[:, None, :])
    iou = ops.where(both_valid, ops.stop_gradient(iou), -1.0)  # [B, N, G]
    best_of_anchor = ops.max(iou, axis=2)  # [B, N]
    matched = ops.cast(ops.argmax(iou, axis=2), "int32")

    positive = best_of_anchor >= positive_iou
    forced = ops.logical_and(_is_best_of_a_truth(iou), ops.cast(low_quality, "bool"))
    labels = ops.where(best_of_anchor < negative_iou, NEGATIVE, IGNORED)
    labels = ops.where(ops.logical_or(positive, forced), POSITIVE, labels)
    return ops.cast(ops.where(anchor_valid, labels, IGNORED), "int32"), matched


def _is_best_of_a_truth(iou: Tensor) -> Tensor:
    """Whether an anchor overlaps some truth as much as any other anchor does; bool [B, N]."""
    best_of_truth = ops.max(iou, axis=1)  # [B, G]
    unreachable = 2.0
    needed = ops.where(best_of_truth > LEAST_BEST_IOU, best_of_truth - TIE_TOLERANCE, unreachable)
    return ops.any(iou >= needed[:, None, :], axis=2)


def low_quality_count(labels: Tensor, matched: Tensor, iou: Tensor, *, positive_iou: Tensor) -> Tensor:
    """How many positives [B], int32, only the low-quality rule made; takes what `match` took and returned."""
    best = ops.take_along_axis(iou, matched[:, :, None], axis=2)[:, :, 0]  # [B, N]
    forced = ops.logical_and(labels == POSITIVE, best < positive_iou)
    return ops.sum(ops.cast(forced, "int32"), axis=1)
