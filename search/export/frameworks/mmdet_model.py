"""The detector as MMDetection is told it: backbone, neck, heads, and how they are trained and tested."""

import math
from typing import Any

from detector.config import FETCHED, LEAST_BEST_IOU, STRIDES_PX, Anchors, NamedWeights, require
from detector.geometry import ChannelOrder
from search.export.frameworks.recipe import Recipe

IMAGENET = "open-mmlab://detectron2/resnet{}_caffe"  # the names by which MMDetection knows MSRA's weights
SAME = 1e-9  # relative: sizes that differ by rounding are the same


def scales(anchors: Anchors) -> tuple[float, ...]:
    """The sizes of each level by its first one: MMDetection has one list for all levels.

    Raises:
        ConfigError: the levels are not proportional.
    """
    relative = [[size / sizes[0] for size in sizes] for sizes in anchors.sizes_px]
    alike = all(
        math.isclose(one, other, rel_tol=SAME) for row in relative for one, other in zip(row, relative[0], strict=True)
    )
    require(
        alike,
        f"mmdet has one list of scales for all levels, but the anchor sizes {[list(s) for s in anchors.sizes_px]} are "
        "not proportional from level to level, so it would be another detector; export detectron2 or torchvision",
    )
    return tuple(relative[0])


def _trains_norms(recipe: Recipe) -> bool:
    return recipe.configuration.detector.weights not in FETCHED


def _backbone(recipe: Recipe) -> dict[str, Any]:
    trains = _trains_norms(recipe)
    imagenet = recipe.configuration.detector.weights == NamedWeights.IMAGENET
    return {
        "type": "ResNet",
        "depth": recipe.resnet.depth,
        "num_stages": 4,
        "out_indices": (0, 1, 2, 3),
        "frozen_stages": recipe.counts.frozen_stages - 1,  # -1 is none, 0 the stem
        "norm_cfg": {"type": "BN", "requires_grad": trains},
        "norm_eval": not trains,
        "style": "caffe" if recipe.stride_in_1x1 else "pytorch",  # where the stride is
        "init_cfg": {"type": "Pretrained", "checkpoint": IMAGENET.format(recipe.resnet.depth)} if imagenet else None,
    }


def _loss(**more: object) -> dict[str, Any]:
    return {"type": "CrossEntropyLoss", "loss_weight": 1.0, **more}


def _coder(*stds: float) -> dict[str, Any]:
    return {"type": "DeltaXYWHBBoxCoder", "target_means": (0.0, 0.0, 0.0, 0.0), "target_stds": stds}


def _rpn_head(recipe: Recipe) -> dict[str, Any]:
    anchors, offset = recipe.hyperparameters.anchors, recipe.geometry.anchor_offset
    return {
        "type": "RPNHead",
        "in_channels": 256,
        "feat_channels": 256,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "strides": STRIDES_PX,
            "base_sizes": tuple(sizes[0] for sizes in anchors.sizes_px),
            "scales": scales(anchors),
            "ratios": anchors.ratios,
            "centers": tuple((stride * offset, stride * offset) for stride in STRIDES_PX),
            "scale_major": False,
        },
        "bbox_coder": _coder(1.0, 1.0, 1.0, 1.0),
        "loss_cls": _loss(use_sigmoid=True),
        "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
    }


def _roi_head(recipe: Recipe) -> dict[str, Any]:
    return {
        "type": "StandardRoIHead",
        "bbox_roi_extractor": {
            "type": "SingleRoIExtractor",
            "roi_layer": {"type": "RoIAlign", "output_size": 7, "sampling_ratio": 2},
            "out_channels": 256,
            "featmap_strides": STRIDES_PX[:4],
        },
        "bbox_head": {
            "type": "Shared2FCBBoxHead",
            "in_channels": 256,
            "fc_out_channels": 1024,
            "roi_feat_size": 7,
            "num_classes": len(recipe.configuration.classes),
            "bbox_coder": _coder(0.1, 0.1, 0.2, 0.2),
            "reg_class_agnostic": False,
            "loss_cls": _loss(use_sigmoid=False),
            "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
        },
    }


def _assigner(positive: float, negative: float, least: float, low_quality: bool) -> dict[str, Any]:
    return {
        "type": "MaxIoUAssigner",
        "pos_iou_thr": positive,
        "neg_iou_thr": negative,
        "min_pos_iou": least,
        "match_low_quality": low_quality,
        "ignore_iof_thr": -1,
    }


def _sampler(count: int, fraction: float, with_truth: bool) -> dict[str, Any]:
    return {
        "type": "RandomSampler",
        "num": count,
        "pos_fraction": fraction,
        "neg_pos_ub": -1,
        "add_gt_as_proposals": with_truth,
    }


def _proposals(recipe: Recipe, before: int, after: int) -> dict[str, Any]:
    nms = {"type": "nms", "iou_threshold": recipe.hyperparameters.proposal_nms_iou}
    return {"nms_pre": before, "max_per_img": after, "nms": nms, "min_bbox_size": 0}


def model(recipe: Recipe) -> dict[str, Any]:
    """The section of that name, as it is written.

    Raises:
        ConfigError: the anchors cannot be said.
    """
    ours, counts = recipe.hyperparameters, recipe.counts
    threshold = ours.roi_positive_iou
    return {
        "type": "FasterRCNN",
        "data_preprocessor": {
            "type": "DetDataPreprocessor",
            "mean": list(recipe.geometry.pixels.mean),
            "std": list(recipe.geometry.pixels.deviation),
            "bgr_to_rgb": recipe.geometry.pixels.order is ChannelOrder.RGB,
            "pad_size_divisor": 32,
        },
        "backbone": _backbone(recipe),
        "neck": {"type": "FPN", "in_channels": list(recipe.resnet.channels), "out_channels": 256, "num_outs": 5},
        "rpn_head": _rpn_head(recipe),
        "roi_head": _roi_head(recipe),
        "train_cfg": {
            "rpn": {
                "assigner": _assigner(
                    ours.rpn_positive_iou, ours.rpn_negative_iou, LEAST_BEST_IOU, ours.low_quality_matches
                ),
                "sampler": _sampler(counts.anchor_samples, ours.rpn_positive_fraction, False),
                "allowed_border": -1,
                "pos_weight": -1,
                "debug": False,
            },
            "rpn_proposal": _proposals(recipe, counts.pre_nms_train, counts.proposals_train),
            "rcnn": {
                "assigner": _assigner(threshold, threshold, threshold, False),
                "sampler": _sampler(counts.roi_samples, ours.roi_positive_fraction, True),
                "pos_weight": -1,
                "debug": False,
            },
        },
        "test_cfg": {
            "rpn": _proposals(recipe, counts.pre_nms_test, counts.proposals_test),
            "rcnn": {
                "score_thr": ours.score_threshold,
                "nms": {"type": "nms", "iou_threshold": ours.detection_nms_iou},
                "max_per_img": counts.detections,
            },
        },
    }
