"""A Faster R-CNN with a ResNet and a feature pyramid, built of torchvision's parts, trained as it was searched.

What torchvision does otherwise is replaced: anchors (not rounded, in the middle of their cells, of fixed strides),
aligned RoIAlign, images on one canvas, losses divided by a fixed number of samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import torch
import torchvision
from frcnn_training import (
    Annotated,
    Sample,
    Training,
    arguments,
    calibrate,
    calibration_pictures,
    letterbox,
    read_weights,
    run,
)
from torch import nn
from torch.nn import functional
from torchvision.models.detection import FasterRCNN, roi_heads
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign, roi_align
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

STRIDES_PX = (4, 8, 16, 32, 64)  # of P2 to P6
LEVEL_AREAS_PX2 = (112.0**2, 224.0**2, 448.0**2)  # from which area on an RoI reads the next level of P2 to P5


@dataclass(frozen=True)
class Model:
    """All of the model that is not torchvision's own. Sizes are in canvas pixels, ratios are height / width."""

    backbone: str  # resnet18, resnet34, resnet50 or resnet101
    anchor_sizes_px: Tuple[Tuple[float, ...], ...]  # of P2 to P6
    anchor_ratios: Tuple[float, ...]
    anchor_offset: float  # of the first anchor from its level's corner, in cells
    pixel_order: str
    pixel_mean: Tuple[float, float, float]  # in that order, of 0..255
    pixel_std: Tuple[float, float, float]
    stride_in_1x1: bool  # where a bottleneck halves the map: in its first convolution or its second
    weights: str  # none, imagenet (torchvision's own) or a file
    frozen_stages: int  # 1 is the stem
    rpn_positive_iou: float
    rpn_negative_iou: float
    rpn_positive_fraction: float
    low_quality_matches: bool
    anchor_samples: int
    proposals_before_nms_train: int  # of each level
    proposals_before_nms_test: int
    proposals_train: int
    proposals_test: int
    proposal_nms_iou: float
    roi_positive_iou: float
    roi_positive_fraction: float
    roi_samples: int
    score_threshold: float
    detection_nms_iou: float
    detections: int


# settings
MODEL: Model
TRAINING: Training
# end of settings


class CanvasAnchors(AnchorGenerator):
    """Anchors around one point of each cell, `offset` cells from its corner: sizes vary slowest and ratios fastest."""

    def __init__(self, sizes_px: Sequence[Sequence[float]], ratios: Sequence[float], offset: float) -> None:
        super().__init__(tuple(map(tuple, sizes_px)), (tuple(ratios),) * len(sizes_px))
        self.offset = offset

    def forward(self, image_list: ImageList, feature_maps: List[torch.Tensor]) -> List[torch.Tensor]:
        """The anchors [N, 4] of each image, level by level, row by row."""
        levels = []
        for features, stride, sizes, ratios in zip(feature_maps, STRIDES_PX, self.sizes, self.aspect_ratios):
            rows, columns = (
                (torch.arange(side, device=features.device) + self.offset) * stride for side in features.shape[-2:]
            )
            y, x = torch.meshgrid(rows, columns, indexing="ij")
            centres = torch.stack([x, y, x, y], -1).reshape(-1, 1, 4)
            sides = [(size / ratio**0.5, size * ratio**0.5) for size in sizes for ratio in ratios]
            cell = torch.tensor([(-w / 2, -h / 2, w / 2, h / 2) for w, h in sides], device=features.device)
            levels.append((centres + cell).reshape(-1, 4))
        return [torch.cat(levels)] * len(image_list.image_sizes)


class AlignedRoIs(MultiScaleRoIAlign):
    """RoIAlign whose samples lie where the pixels do; torchvision's own is half a cell beside."""

    def forward(
        self, x: Dict[str, torch.Tensor], boxes: List[torch.Tensor], image_shapes: List[Tuple[int, int]]
    ) -> torch.Tensor:
        """Features [R, C, 7, 7] of all boxes, image after image."""
        levels = [x[name] for name in self.featmap_names]
        joined = torch.cat(boxes)
        images = torch.cat([one.new_full((len(one), 1), float(number)) for number, one in enumerate(boxes)])
        areas = (joined[:, 2:] - joined[:, :2]).prod(-1)
        level_of = sum((areas >= threshold).long() for threshold in LEVEL_AREAS_PX2)
        rois = torch.cat([images, joined], -1)
        pooled = levels[0].new_zeros((len(rois), levels[0].shape[1], *self.output_size))
        for level, (features, stride) in enumerate(zip(levels, STRIDES_PX)):
            own = torch.where(level_of == level)[0]
            pooled[own] = roi_align(
                features, rois[own].to(features.dtype), self.output_size, 1 / stride, self.sampling_ratio, aligned=True
            )
        return pooled


class CanvasTransform(nn.Module):
    """Images onto the canvas and into the numbers that the backbone was trained on, and boxes back.

    In training, pictures lie on the canvas already, and their targets hold `extent`.
    """

    def __init__(self, canvas: Tuple[int, int], model: Model) -> None:
        super().__init__()
        self.canvas, self.reversed = canvas, model.pixel_order == "BGR"
        self.register_buffer("mean", torch.tensor(model.pixel_mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(model.pixel_std).view(-1, 1, 1), persistent=False)

    def forward(
        self, images: List[torch.Tensor], targets: List[Dict[str, Any]] | None = None
    ) -> Tuple[ImageList, List[Dict[str, Any]] | None]:
        """Float32 RGB pictures [3, h, w], 0..255, as torchvision hands them on."""
        if targets is None:
            placed = [letterbox(image, self.canvas)[:2] for image in images]
            images, extents = [picture for picture, _ in placed], [extent for _, extent in placed]
        else:
            extents = [target["extent"] for target in targets]
        return ImageList(self.normalised(torch.stack(images)), extents), targets

    def normalised(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures [n, 3, H, W] in the order, mean and deviation of the backbone's weights."""
        return ((pictures.flip(-3) if self.reversed else pictures) - self.mean) / self.std

    def postprocess(
        self, result: List[Dict[str, torch.Tensor]], image_shapes: Any, original_image_sizes: List[Tuple[int, int]]
    ) -> List[Dict[str, torch.Tensor]]:
        """Boxes in pixels of the images as they were given."""
        for found, (height, width) in zip(result, original_image_sizes):
            found["boxes"] = found["boxes"] / min(self.canvas[0] / height, self.canvas[1] / width)
        return result


def rpn_losses(
    sampler: Any,
    logits: torch.Tensor,
    deltas: torch.Tensor,
    labels: List[torch.Tensor],
    targets: List[torch.Tensor],
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy and L1 of the sampled anchors, divided by how many there may be at most."""
    positive, negative = (torch.where(torch.cat(chosen))[0] for chosen in sampler(labels))
    every = torch.cat([positive, negative])
    count = MODEL.anchor_samples * len(labels)
    truth = torch.cat(labels)
    objectness = functional.binary_cross_entropy_with_logits(logits.flatten()[every], truth[every], reduction="sum")
    boxes = functional.l1_loss(deltas[positive], torch.cat(targets)[positive], reduction="sum")
    return objectness / count, boxes / count


def roi_losses(
    logits: torch.Tensor, deltas: torch.Tensor, labels: List[torch.Tensor], targets: List[torch.Tensor]
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy and L1 of the sampled RoIs, divided by how many there may be at most; label 0 is background."""
    count = MODEL.roi_samples * len(labels)
    truth = torch.cat(labels)
    positive = torch.where(truth > 0)[0]
    own = deltas.reshape(len(deltas), -1, 4)[positive, truth[positive]]
    boxes = functional.l1_loss(own, torch.cat(targets)[positive], reduction="sum")
    return functional.cross_entropy(logits, truth, reduction="sum") / count, boxes / count


def build_backbone(weights: str) -> nn.Module:
    """A ResNet with frozen batch norm: torchvision's ImageNet weights, or random ones."""
    named = "IMAGENET1K_V1" if weights == "imagenet" else None
    resnet = torchvision.models.get_model(MODEL.backbone, weights=named, norm_layer=FrozenBatchNorm2d)
    if MODEL.stride_in_1x1:
        for stage in (resnet.layer2, resnet.layer3, resnet.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    stages = [[resnet.conv1], [resnet.layer1], [resnet.layer2], [resnet.layer3], [resnet.layer4]]
    for layers in stages[: MODEL.frozen_stages]:
        for layer in layers:
            layer.requires_grad_(False)
    return resnet


def build_model(weights: str = "none", pictures: torch.Tensor | None = None) -> FasterRCNN:
    """The detector, in training mode. Without weights, `pictures` [n, 3, H, W] give the batch norm its statistics."""
    resnet = build_backbone(weights)
    levels = {f"layer{number}": str(number - 1) for number in (1, 2, 3, 4)}
    channels = [resnet.inplanes // 2**halved for halved in (3, 2, 1, 0)]  # of C2 to C5
    backbone = BackboneWithFPN(resnet, levels, channels, 256, LastLevelMaxPool())
    transform = CanvasTransform(TRAINING.canvas, MODEL)
    if weights == "none" and pictures is not None:
        norms = [module for module in backbone.modules() if isinstance(module, FrozenBatchNorm2d)]
        blocks = [module for module in backbone.modules() if isinstance(module, (BasicBlock, Bottleneck))]
        last = [block.bn3 if isinstance(block, Bottleneck) else block.bn2 for block in blocks]
        calibrate(backbone, norms, last, transform.normalised(pictures))
    model = FasterRCNN(
        backbone,
        num_classes=len(TRAINING.classes) + 1,
        rpn_anchor_generator=CanvasAnchors(MODEL.anchor_sizes_px, MODEL.anchor_ratios, MODEL.anchor_offset),
        rpn_pre_nms_top_n_train=MODEL.proposals_before_nms_train,
        rpn_pre_nms_top_n_test=MODEL.proposals_before_nms_test,
        rpn_post_nms_top_n_train=MODEL.proposals_train,
        rpn_post_nms_top_n_test=MODEL.proposals_test,
        rpn_nms_thresh=MODEL.proposal_nms_iou,
        rpn_fg_iou_thresh=MODEL.rpn_positive_iou,
        rpn_bg_iou_thresh=MODEL.rpn_negative_iou,
        rpn_batch_size_per_image=MODEL.anchor_samples,
        rpn_positive_fraction=MODEL.rpn_positive_fraction,
        box_roi_pool=AlignedRoIs(["0", "1", "2", "3"], output_size=7, sampling_ratio=2),
        box_score_thresh=MODEL.score_threshold,
        box_nms_thresh=MODEL.detection_nms_iou,
        box_detections_per_img=MODEL.detections,
        box_fg_iou_thresh=MODEL.roi_positive_iou,
        box_bg_iou_thresh=MODEL.roi_positive_iou,
        box_batch_size_per_image=MODEL.roi_samples,
        box_positive_fraction=MODEL.roi_positive_fraction,
    )
    model.transform = transform
    model.rpn.proposal_matcher.allow_low_quality_matches = MODEL.low_quality_matches
    model.rpn.compute_loss = partial(rpn_losses, model.rpn.fg_bg_sampler)
    roi_heads.fastrcnn_loss = roi_losses  # looked up at each call
    head, predictor = model.roi_heads.box_head, model.roi_heads.box_predictor
    for layer in (head.fc6, head.fc7):
        nn.init.kaiming_uniform_(layer.weight, a=1)
        nn.init.zeros_(layer.bias)
    for layer, deviation in ((predictor.cls_score, 0.01), (predictor.bbox_pred, 0.001)):
        nn.init.normal_(layer.weight, std=deviation)
        nn.init.zeros_(layer.bias)
    return model.train()


def loss_of(model: FasterRCNN, samples: Sequence[Sample]) -> torch.Tensor:
    """The sum of the four losses."""
    device = next(model.parameters()).device
    targets = [
        {
            "boxes": sample["boxes"].to(device),
            "labels": sample["labels"].to(device) + 1,  # 0 is background
            "extent": sample["extent"],
        }
        for sample in samples
    ]
    return sum(model([sample["image"].to(device) for sample in samples], targets).values())


def detect(model: FasterRCNN, picture: torch.Tensor) -> Dict[str, torch.Tensor]:
    """Boxes, scores and labels 0..K-1 in a picture, in its own pixels."""
    (found,) = model([picture.to(next(model.parameters()).device)])
    return {**found, "labels": found["labels"] - 1}


def main() -> None:
    """Train, evaluate, and leave the weights in the output folder."""
    options = arguments("Train the exported Faster R-CNN with torchvision.", MODEL.weights)
    folder = Path(__file__).resolve().parent
    torch.manual_seed(TRAINING.seed)
    annotated = Annotated(folder / TRAINING.train, folder / TRAINING.train_images, TRAINING.upright)
    pictures = calibration_pictures(annotated, TRAINING) if options.weights == "none" else None
    model = build_model(options.weights, pictures)
    if options.weights not in ("none", "imagenet"):
        missing = model.load_state_dict(read_weights(options.weights), strict=False).missing_keys
        print(f"{options.weights}: {len(missing)} values of the model are not in it")
    model.to(options.device)
    run(model, model.rpn, partial(loss_of, model), partial(detect, model), TRAINING, folder, options)


if __name__ == "__main__":
    main()
