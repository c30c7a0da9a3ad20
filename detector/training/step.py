"""The one train step: everything that the study varies is an input, so it is compiled once.

    uint8 images ─ augment ─ backbone ─ pyramid ─┬─ RPN ─ match, sample ─ RPN losses
                                                 └─ proposals + truth ─ match, sample ─ RoIAlign ─ box head ─ RoI losses
    gradients are accumulated over the micro-batches of a batch; the last one clips and applies them.

Shapes: B micro-batch, N anchors, G ground-truth slots, S sampled anchors or RoIs, P proposals, K classes.
Boxes: yxyx, float32, canvas pixels; a slot without a box is zero and not valid.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from detector import boxes as box_math
from detector.backend import square_sum, value_and_gradients
from detector.boxes import Tensor
from detector.config import StepShape
from detector.geometry import KERAS, Pixels
from detector.network import losses
from detector.network.anchors import grid_anchors, grid_mask
from detector.network.matching import low_quality_count, match
from detector.network.network import Network
from detector.network.proposals import Proposals, flatten_levels, propose
from detector.network.roi_align import align
from detector.network.sampled_rpn import outputs_at, worth_sampling
from detector.network.sampling import sample
from detector.randomness import Stream, uniform
from detector.training import optimizer
from detector.training.augmentation import augment
from detector.watch.health import COMPONENTS, FIGURES, FORWARD_FIGURES, GRADIENT_BIT, LOSSES

State = dict[str, Any]  # weights, velocity, second, accumulated: lists; figures [F], first_bad [2]
MOVED = (*optimizer.SLOTS, "first_bad")  # the parts that the end of a batch changes


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """A micro-batch on its way through the step."""

    images: Tensor  # [B, H, W, 3] preprocessed
    extents: Tensor  # [B, 2]
    truth: Tensor  # [B, G, 4]
    truth_valid: Tensor  # [B, G]
    truth_classes: Tensor  # [B, G]
    index: Tensor  # [B] number of the sample in the trial; randomness hangs on it, not on the position


def initial_state(weights: list[Tensor]) -> State:
    """A state at step 0 that owns nothing of `weights` but the tensors themselves."""
    return {
        "weights": list(weights),
        "velocity": [ops.zeros_like(weight) for weight in weights],
        "second": [ops.zeros_like(weight) for weight in weights],
        "accumulated": [ops.zeros_like(weight) for weight in weights],
        "figures": ops.zeros((len(FORWARD_FIGURES),), "float32"),
        "first_bad": ops.convert_to_tensor([-1.0, 0.0], "float32"),
    }


class TrainStep:
    """`(state, frozen, batch, inputs) -> (state, figures)` for one network and shape; see `health` for the figures."""

    def __init__(self, network: Network, shape: StepShape) -> None:
        self._network = network
        self._shape = shape

    def __call__(
        self, state: State, frozen: list[Tensor], batch: dict[str, Tensor], inputs: dict[str, Tensor]
    ) -> tuple[State, Tensor]:
        augmented = self._augmented(batch, inputs)
        _, figures, gradients = value_and_gradients(
            lambda weights: self.loss(weights, frozen, augmented, inputs), state["weights"]
        )
        accumulated, figures = ops.cond(
            inputs["first"],
            lambda: (list(gradients), inputs["share"] * figures),
            lambda: (
                [total + gradient for total, gradient in zip(state["accumulated"], gradients, strict=True)],
                state["figures"] + inputs["share"] * figures,
            ),
        )
        state = {**state, "accumulated": accumulated, "figures": figures}
        moved, figures = ops.cond(
            inputs["last"],
            lambda: self._update(state, inputs),
            lambda: ({name: state[name] for name in MOVED}, ops.zeros((len(FIGURES),), "float32")),
        )
        return {**state, **moved}, figures

    def _augmented(self, batch: dict[str, Tensor], inputs: dict[str, Tensor]) -> TrainingBatch:
        images, truth, valid, extents = augment(
            batch["images"], batch["boxes"], batch["valid"], batch["extents"],
            ranges=inputs["augmentation"], seed=inputs["seed"], index=batch["index"],
        )  # fmt: skip
        truth = ops.where(valid[..., None], truth, 0.0)
        return TrainingBatch(
            self._network.kind.preprocess(images), extents, truth, valid, batch["classes"], batch["index"]
        )

    def loss(
        self, weights: Sequence[Tensor], frozen: Sequence[Tensor], batch: TrainingBatch, inputs: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Total loss and FORWARD_FIGURES of a micro-batch."""
        network, shape = self._network, self._shape
        with network.bound(weights, frozen):
            levels = network.pyramid(network.backbone(batch.images, training=False))
            outputs = [network.rpn(level) for level in levels]
            logits = flatten_levels([output[0] for output in outputs], 1)[..., 0]  # [B, N]
            deltas = flatten_levels([output[1] for output in outputs], 4)  # [B, N, 4]
            anchors = grid_anchors(inputs["cells"], shape.canvas)
            valid = grid_mask(inputs["cell_valid"], shape.canvas)
            rpn_losses, rpn_figures = self._rpn(levels, logits, deltas, anchors, valid, batch, inputs)
            proposals = propose(
                logits, deltas, anchors, valid, batch.extents, inputs["proposal_nms_iou"], shape=shape,
                before_nms=shape.pre_nms_train, after_nms=shape.proposals_train,
            )  # fmt: skip
            roi_losses, roi_figures = self._box_head(levels[:4], proposals, batch, inputs)
        figures = {
            **dict(zip(LOSSES, (*rpn_losses, *roi_losses), strict=True)),
            **rpn_figures,
            **roi_figures,
            "boxes": _per_image(batch.truth_valid),
            "largest_label": ops.max(ops.where(batch.truth_valid, batch.truth_classes, 0)),
            "feature_rms": ops.sqrt(ops.mean(ops.square(ops.cast(levels[0], "float32")))),
            **pixel_figures(batch, network.kind.geometry.pixels),
        }
        return sum((*rpn_losses, *roi_losses)), self._packed(figures)

    def _packed(self, figures: dict[str, Tensor]) -> Tensor:
        return ops.stack([ops.stop_gradient(ops.cast(figures[name], "float32")) for name in FORWARD_FIGURES])

    def _rpn(
        self,
        levels: list[Tensor],
        logits: Tensor,
        deltas: Tensor,
        anchors: Tensor,
        valid: Tensor,
        batch: TrainingBatch,
        inputs: dict[str, Tensor],
    ) -> tuple[tuple[Tensor, Tensor], dict[str, Tensor]]:
        shape = self._shape
        iou = box_math.pairwise_iou(anchors[None], batch.truth)  # [B, N, G]
        labels, matched = match(
            iou, valid, batch.truth_valid,
            positive_iou=inputs["rpn_positive_iou"], negative_iou=inputs["rpn_negative_iou"],
            low_quality=inputs["low_quality_matches"],
        )  # fmt: skip
        chosen, kinds = sample(
            labels, uniform(inputs["seed"], Stream.ANCHOR_SAMPLING, batch.index, labels.shape[1]),
            slots=shape.anchor_samples, count=shape.anchor_samples,
            positive_fraction=inputs["rpn_positive_fraction"],
        )  # fmt: skip
        if worth_sampling(shape):
            sampled = outputs_at(self._network.rpn, levels, chosen, shape.anchors_per_cell)
        else:
            sampled = (ops.take_along_axis(logits, chosen, axis=1), _pick(deltas, chosen))
        pair = losses.rpn_losses(
            *sampled,
            kinds,
            ops.take(anchors, chosen, axis=0),
            _pick(batch.truth, ops.take_along_axis(matched, chosen, axis=1)),
            normaliser=shape.anchor_samples * shape.micro_batch,
        )
        return pair, {
            "positive_anchors": _per_image(labels == 1),
            "low_quality_anchors": ops.mean(
                ops.cast(low_quality_count(labels, matched, iou, positive_iou=inputs["rpn_positive_iou"]), "float32")
            ),
            "sampled_anchors": _per_image(kinds >= 0),
            "max_objectness": ops.max(ops.abs(ops.where(valid[None], logits, 0.0))),
            "clamped_deltas": _share(
                deltas[..., 2:] > box_math.LARGEST_LOG_SCALE,
                ops.broadcast_to(valid[None, :, None], deltas[..., 2:].shape),
            ),
        }

    def _box_head(
        self, levels: list[Tensor], proposals: Proposals, batch: TrainingBatch, inputs: dict[str, Tensor]
    ) -> tuple[tuple[Tensor, Tensor], dict[str, Tensor]]:
        shape, truth = self._shape, batch.truth
        # Ground truth joins the proposals, so that the head sees positives before the RPN finds any (Detectron2).
        candidates = ops.concatenate([proposals.boxes, truth], axis=1)  # [B, P + G, 4]
        candidate_valid = ops.concatenate([proposals.valid, batch.truth_valid], axis=1)
        iou = box_math.pairwise_iou(candidates, truth)  # [B, P + G, G]
        labels, matched = match(
            iou, candidate_valid, batch.truth_valid,
            positive_iou=inputs["roi_positive_iou"], negative_iou=inputs["roi_positive_iou"], low_quality=0.0,
        )  # fmt: skip
        chosen, kinds = sample(
            labels, uniform(inputs["seed"], Stream.ROI_SAMPLING, batch.index, labels.shape[1]),
            slots=shape.roi_samples, count=shape.roi_samples, positive_fraction=inputs["roi_positive_fraction"],
        )  # fmt: skip
        rois = _pick(candidates, chosen)
        partner = ops.take_along_axis(matched, chosen, axis=1)  # [B, S]
        foreground = kinds == 1
        classes = ops.where(foreground, ops.take_along_axis(batch.truth_classes, partner, axis=1), shape.classes)
        logits, deltas = self.classify(levels, rois)
        pair = losses.roi_losses(
            logits,
            deltas,
            kinds,
            classes,
            rois,
            _pick(truth, partner),
            normaliser=shape.roi_samples * shape.micro_batch,
        )
        given = proposals.boxes.shape[1]
        covered = ops.max(ops.where(proposals.valid[..., None], iou[:, :given], 0.0), axis=1) >= 0.5  # [B, G]
        predicted = ops.argmax(logits, axis=-1)
        return pair, {
            "sampled_rois": _per_image(kinds >= 0),
            "foreground_rois": _per_image(foreground),
            "foreground_proposals": _per_image(foreground & (chosen < given)),
            "valid_proposals": _per_image(proposals.valid),
            "proposal_recall": _share(covered, batch.truth_valid),
            "max_class_logit": ops.max(ops.abs(logits)),
            "foreground_accuracy": _share(predicted == classes, foreground),
            "false_negatives": _share(predicted == shape.classes, foreground),
        }

    def classify(self, levels: list[Tensor], rois: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits [B, S, K + 1] and box deltas [B, S, K, 4] of RoIs [B, S, 4], float32."""
        batch, count = rois.shape[:2]
        pooled = align(levels, rois, aligned=self._shape.geometry.aligned_rois)  # [B, S, 7, 7, C]
        logits, deltas = self._network.box_head(ops.reshape(pooled, (batch * count, -1)))
        logits = ops.reshape(ops.cast(logits, "float32"), (batch, count, -1))
        return logits, ops.reshape(ops.cast(deltas, "float32"), (batch, count, -1, 4))

    def _update(self, state: State, inputs: dict[str, Tensor]) -> tuple[State, Tensor]:
        """What the end of a batch changes of the state, and FIGURES."""
        groups, share = self._network.component_of, inputs["share"]
        norms = share * ops.sqrt(_by_component(map(square_sum, state["accumulated"]), groups))  # [4]
        norm = ops.sqrt(ops.sum(ops.square(norms)))
        finite = ops.append(ops.isfinite(state["figures"][: len(LOSSES)]), ops.isfinite(norm))
        healthy = ops.all(finite)  # a non-finite update is never applied
        first_bad = _latch(state["first_bad"], healthy, finite, inputs)
        clip = ops.minimum(1.0, inputs["clip_norm"] / (norm + 1e-6))
        rates = [inputs["learning_rate"] * (inputs["rpn_lr_factor"] if group == "rpn" else 1.0) for group in groups]
        slots = {name: state[name] for name in optimizer.SLOTS}
        moved, changes = ops.cond(
            healthy,
            lambda: optimizer.update(slots, state["accumulated"], rates, share * clip, inputs),
            lambda: (slots, [ops.zeros((), "float32") for _ in groups]),
        )
        sizes = _by_component(map(square_sum, slots["weights"]), groups)
        ratios = ops.sqrt(_by_component(changes, groups) / (sizes + 1e-12))
        figures = ops.concatenate(
            [state["figures"], ops.stack([inputs["learning_rate"], norm]), norms, ratios, first_bad]
        )
        return {**moved, "first_bad": first_bad}, figures


def _by_component(values: Iterable[Tensor], groups: Sequence[str]) -> Tensor:
    """Sums of one scalar a variable over each component, [len(COMPONENTS)]."""
    totals = {name: ops.zeros((), "float32") for name in COMPONENTS}
    for value, group in zip(values, groups, strict=True):
        totals[group] = totals[group] + value
    return ops.stack([totals[name] for name in COMPONENTS])


def _latch(first_bad: Tensor, healthy: Tensor, finite: Tensor, inputs: dict[str, Tensor]) -> Tensor:
    """Step and terms of the first optimizer step that was not finite; unchanged from then on."""
    bits = ops.convert_to_tensor([float(1 << bit) for bit in range(len(LOSSES))] + [float(GRADIENT_BIT)], "float32")
    here = ops.stack([inputs["update"] - 1, ops.sum(ops.where(finite, 0.0, bits))])
    is_first = ops.logical_and(ops.logical_not(healthy), first_bad[0] < 0)
    return ops.where(is_first, here, first_bad)


def _pick(rows: Tensor, chosen: Tensor) -> Tensor:
    """rows [B, M, 4] at chosen [B, S]: [B, S, 4]."""
    return ops.take_along_axis(rows, chosen[..., None], axis=1)


def _per_image(flags: Tensor) -> Tensor:
    return ops.sum(ops.cast(flags, "float32")) / flags.shape[0]


def pixel_figures(batch: TrainingBatch, pixels: Pixels = KERAS.pixels) -> dict[str, Tensor]:
    """Mean and deviation, in levels, of the pictures without their padding, which has the mean of all and would hide a
    flat one."""
    height, width = batch.images.shape[1:3]
    rows = np.arange(height, dtype=np.float32)[:, None] < ops.reshape(batch.extents[:, 0], (-1, 1, 1))  # [B, H, 1]
    columns = np.arange(width, dtype=np.float32) < ops.reshape(batch.extents[:, 1], (-1, 1, 1))  # [B, 1, W]
    inside = ops.cast(rows & columns, "float32")[..., None]  # [B, H, W, 1]
    count = ops.maximum(ops.sum(inside), 1.0)
    means = ops.sum(batch.images * inside, axis=(0, 1, 2)) / count  # [3]
    variances = ops.sum(ops.square(batch.images - means) * inside, axis=(0, 1, 2)) / count
    levels = ops.convert_to_tensor(pixels.deviation, "float32")  # of one unit
    return {"pixel_mean": ops.mean(means * levels), "pixel_deviation": ops.mean(ops.sqrt(variances) * levels)}


def _share(flags: Tensor, among: Tensor) -> Tensor:
    """Share of `among` that are flagged; 0 where there is none."""
    among = ops.cast(among, "float32")
    return ops.sum(ops.cast(flags, "float32") * among) / ops.maximum(ops.sum(among), 1.0)
