"""Losses of the region proposals and of the box head, as Detectron2 defines them.

Shapes: B images, S sampled slots (anchors or RoIs), K classes; boxes `yxyx` float32 canvas pixels. `kinds` is 1
positive, 0 negative, -1 unused slot. Sums are divided by a fixed number (samples per image × images), never by how
many were found, so that k micro-batches add up to exactly one batch of k times the size.
"""

from keras import ops

from detector.boxes import ROI_WEIGHTS, RPN_WEIGHTS, Tensor, Weights, encode
from detector.network.matching import POSITIVE


def rpn_losses(
    logits: Tensor, deltas: Tensor, kinds: Tensor, anchors: Tensor, truth: Tensor, *, normaliser: Tensor
) -> tuple[Tensor, Tensor]:
    """Objectness loss (binary cross-entropy) and box loss (L1) of the sampled anchors: two float32 scalars.

    `logits` [B, S], `deltas` [B, S, 4], `kinds` [B, S], `anchors` and their matched `truth` [B, S, 4]; `normaliser` is
    anchor samples per image × images. Unused slots add nothing, to the gradient neither, whatever they hold.
    """
    logits = _where(kinds >= 0, ops.cast(logits, "float32"))
    is_positive = ops.cast(kinds == POSITIVE, "float32")
    # log(1 + exp(x)) - x·y, in the form that cannot overflow
    cross_entropy = ops.softplus(logits) - logits * is_positive
    cross_entropy = _where(kinds >= 0, cross_entropy)
    box_loss = _l1(deltas, kinds == POSITIVE, anchors, truth, RPN_WEIGHTS)
    return ops.sum(cross_entropy) / normaliser, box_loss / normaliser


def roi_losses(
    logits: Tensor, deltas: Tensor, kinds: Tensor, classes: Tensor, boxes: Tensor, truth: Tensor, *, normaliser: Tensor
) -> tuple[Tensor, Tensor]:
    """Class loss (softmax cross-entropy) and box loss (L1, of the true class only) of the RoIs: two float32 scalars.

    `logits` [B, S, K + 1] with the background last, `deltas` [B, S, K, 4], `kinds` and `classes` [B, S] (K for
    background), `boxes` and their matched `truth` [B, S, 4]; `normaliser` is RoI samples per image × images. Unused
    slots add nothing, to the gradient neither, whatever they hold.
    """
    used = kinds >= 0
    logits = _where(used[..., None], ops.cast(logits, "float32"))
    classes = ops.cast(classes, "int32")
    of_class = ops.take_along_axis(logits, ops.clip(classes, 0, logits.shape[-1] - 1)[..., None], axis=-1)[..., 0]
    cross_entropy = _where(used, ops.logsumexp(logits, axis=-1) - of_class)

    foreground = ops.clip(classes, 0, deltas.shape[-2] - 1)[..., None, None]  # background boxes are masked below
    own_deltas = ops.take_along_axis(deltas, ops.repeat(foreground, 4, axis=-1), axis=-2)[..., 0, :]  # [B, S, 4]
    box_loss = _l1(own_deltas, kinds == POSITIVE, boxes, truth, ROI_WEIGHTS)
    return ops.sum(cross_entropy) / normaliser, box_loss / normaliser


def _l1(deltas: Tensor, positive: Tensor, anchors: Tensor, truth: Tensor, weights: Weights) -> Tensor:
    """Sum over positives of |deltas - encoded truth|; a scalar."""
    target = ops.stop_gradient(encode(ops.cast(truth, "float32"), ops.cast(anchors, "float32"), weights))
    return ops.sum(ops.abs(_where(positive[..., None], ops.cast(deltas, "float32") - target)))


def _where(mask: Tensor, values: Tensor) -> Tensor:
    """`values` where the mask holds, else 0 with a gradient of exactly 0."""
    return ops.where(mask, values, ops.zeros_like(values))
