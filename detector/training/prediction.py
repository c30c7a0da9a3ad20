"""The one evaluation step."""

from keras import ops

from detector.boxes import Tensor
from detector.config import StepShape
from detector.network.anchors import grid_anchors, grid_mask
from detector.network.network import Network
from detector.network.proposals import detect, flatten_levels, propose
from detector.training.step import TrainStep


class PredictStep:
    """`(weights, frozen, images, extents, inputs) -> boxes, scores, classes` of `proposals.detect`, in canvas pixels.

    With them `proposals` [B, P, 4], and in `proposal_valid` [B, P] which of them are real.
    """

    def __init__(self, network: Network, shape: StepShape, train_step: TrainStep) -> None:
        self._network = network
        self._shape = shape
        self._classify = train_step.classify

    def __call__(
        self, weights: list[Tensor], frozen: list[Tensor], images: Tensor, extents: Tensor, inputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        network, shape = self._network, self._shape
        with network.bound(weights, frozen):
            pictures = network.kind.preprocess(ops.cast(images, "float32"))
            levels = network.pyramid(network.backbone(pictures, training=False))
            outputs = [network.rpn(level) for level in levels]
            proposals = propose(
                flatten_levels([output[0] for output in outputs], 1)[..., 0],
                flatten_levels([output[1] for output in outputs], 4),
                grid_anchors(inputs["cells"], shape.canvas),
                grid_mask(inputs["cell_valid"], shape.canvas),
                extents, inputs["proposal_nms_iou"], shape=shape,
                before_nms=shape.pre_nms_test, after_nms=shape.proposals_test,
            )  # fmt: skip
            logits, deltas = self._classify(levels[:4], proposals.boxes)
        found = detect(
            logits, deltas, proposals, extents, inputs["score_threshold"], inputs["detection_nms_iou"],
            detections=shape.detections,
        )  # fmt: skip
        return {**found, "proposals": proposals.boxes, "proposal_valid": proposals.valid}
