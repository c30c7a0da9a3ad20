"""Proposals from RPN outputs, and detections from box-head outputs.

Shapes: B images, N anchors over all levels, L levels, A slots per cell, P proposals, K classes, D detections.
Boxes: yxyx, float32, canvas pixels. A slot that holds nothing is all zero and not valid.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keras import ops

from detector import boxes as box_math
from detector.boxes import Tensor
from detector.config import StepShape
from detector.network.anchors import level_sizes
from detector.network.nms import non_maximum_suppression, separated

DETECTION_CANDIDATES = 1000  # (RoI, class) pairs that enter NMS
MASKED = -1e9  # score of what is masked; finite, so that no NaN can arise from it


@dataclass(frozen=True, slots=True)
class Proposals:
    """The best boxes of each image after NMS, by falling score."""

    boxes: Tensor  # [B, P, 4]
    valid: Tensor  # [B, P]


def flatten_levels(outputs: Sequence[Tensor], width: int) -> Tensor:
    """Level maps [B, h, w, A·width] to [B, N, width], in the order of `anchors.grid_anchors`, as float32."""
    batch = outputs[0].shape[0]
    flat = [ops.reshape(ops.cast(output, "float32"), (batch, -1, width)) for output in outputs]
    return ops.concatenate(flat, axis=1)


def propose(
    logits: Tensor,  # [B, N]
    deltas: Tensor,  # [B, N, 4]
    anchors: Tensor,  # [N, 4]
    anchor_valid: Tensor,  # [N]
    extents: Tensor,  # [B, 2] height and width of the image inside the canvas
    nms_iou: Tensor,
    *,
    shape: StepShape,
    before_nms: int,
    after_nms: int,
) -> Proposals:
    """The `after_nms` highest-scored boxes that survive NMS within their level; no gradient flows through them."""
    scores = ops.where(anchor_valid[None], ops.stop_gradient(logits), MASKED)
    deltas = ops.stop_gradient(deltas)
    kept_boxes, kept_scores, start = [], [], 0
    for height, width in level_sizes(shape.canvas):
        end = start + height * width * shape.anchors_per_cell
        level_scores, chosen = ops.top_k(scores[:, start:end], min(before_nms, end - start))  # [B, k]
        level_anchors = ops.take(anchors[start:end], chosen, axis=0)  # [B, k, 4]
        level_deltas = ops.take_along_axis(deltas[:, start:end], chosen[..., None], axis=1)
        found = box_math.decode(level_deltas, level_anchors, box_math.RPN_WEIGHTS)
        found = box_math.clip(found, extents[:, None, 0], extents[:, None, 1])
        valid = (level_scores > MASKED / 2) & (box_math.area(found) > 0)
        valid = non_maximum_suppression(found, valid, nms_iou)
        kept_boxes.append(found)
        kept_scores.append(ops.where(valid, level_scores, MASKED))
        start = end
    return _best(ops.concatenate(kept_boxes, axis=1), ops.concatenate(kept_scores, axis=1), after_nms)


def _best(candidates: Tensor, scores: Tensor, count: int) -> Proposals:
    available = candidates.shape[1]
    scores, chosen = ops.top_k(scores, min(count, available))
    boxes = ops.take_along_axis(candidates, chosen[..., None], axis=1)
    if available < count:
        boxes = ops.pad(boxes, ((0, 0), (0, count - available), (0, 0)))
        scores = ops.pad(scores, ((0, 0), (0, count - available)), constant_values=MASKED)
    valid = scores > MASKED / 2
    return Proposals(ops.where(valid[..., None], boxes, 0.0), valid)


def detect(
    logits: Tensor,  # [B, P, K + 1]
    deltas: Tensor,  # [B, P, K, 4]
    proposals: Proposals,
    extents: Tensor,  # [B, 2]
    score_threshold: Tensor,
    nms_iou: Tensor,
    *,
    detections: int,
) -> dict[str, Tensor]:
    """Boxes [B, D, 4], scores [B, D] (0 where there is none) and classes [B, D] after class-wise NMS."""
    batch, count, classes = deltas.shape[:3]
    scores = ops.softmax(logits, axis=-1)[..., :classes]  # [B, P, K]
    scores = ops.where(proposals.valid[..., None] & (scores > score_threshold), scores, 0.0)
    scores, chosen = ops.top_k(ops.reshape(scores, (batch, -1)), min(DETECTION_CANDIDATES, count * classes))
    picked, labels = chosen // classes, chosen % classes
    found = box_math.decode(
        ops.take_along_axis(ops.reshape(deltas, (batch, -1, 4)), chosen[..., None], axis=1),
        ops.take_along_axis(proposals.boxes, picked[..., None], axis=1),
        box_math.ROI_WEIGHTS,
    )
    found = box_math.clip(found, extents[:, None, 0], extents[:, None, 1])
    valid = (scores > 0) & (box_math.area(found) > 0)
    valid = non_maximum_suppression(separated(found, labels), valid, nms_iou)
    scores, best = ops.top_k(ops.where(valid, scores, 0.0), min(detections, scores.shape[1]))
    return {
        "boxes": ops.take_along_axis(found, best[..., None], axis=1),
        "scores": scores,
        "classes": ops.take_along_axis(labels, best, axis=1),
    }
