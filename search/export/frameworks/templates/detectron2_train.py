"""The Faster R-CNN of detectron2.yaml, built by Detectron2 and trained as it was searched.

What a YAML file of Detectron2 cannot say is done here: images on one canvas, one clipping norm for all gradients, a
learning rate of the RPN's own, Adam, augmentation, and class losses divided by a fixed number of samples.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Sequence

import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import CfgNode, get_cfg
from detectron2.data.datasets import register_coco_instances
from detectron2.layers import FrozenBatchNorm2d
from detectron2.modeling import build_model as build_from_config
from detectron2.modeling.backbone.resnet import BasicBlock, BottleneckBlock
from detectron2.structures import Boxes, ImageList, Instances
from detectron2.utils.events import EventStorage
from frcnn_training import (
    Annotated,
    Sample,
    Training,
    arguments,
    calibrate,
    calibration_pictures,
    letterbox,
    run,
)

# settings
CONFIG_FILE: str
LOW_QUALITY_MATCHES: bool
TRAINING: Training
# end of settings


def load_config(folder: Path) -> CfgNode:
    """The configuration of the YAML file beside this one; its two datasets are known to Detectron2 from then on."""
    config = get_cfg()
    config.merge_from_file(str(folder / CONFIG_FILE))
    for (name,), file, images in (
        (config.DATASETS.TRAIN, TRAINING.train, TRAINING.train_images),
        (config.DATASETS.TEST, TRAINING.validation, TRAINING.validation_images),
    ):
        register_coco_instances(name, {}, str(folder / file), str(folder / images))
    return config


def canvas_images(model: torch.nn.Module, inputs: Sequence[Dict[str, Any]]) -> ImageList:
    """The pictures as they lie on the canvas; what they cover of it bounds the boxes."""
    images = torch.stack([each["image"].to(model.pixel_mean.device) for each in inputs])
    return ImageList((images - model.pixel_mean) / model.pixel_std, [each["extent"] for each in inputs])


def roi_losses(losses: Any, samples: int, predictions: Any, proposals: List[Instances]) -> Dict[str, torch.Tensor]:
    """Detectron2's losses, divided by the RoIs that there may be at most, and not by those that there are."""
    share = sum(map(len, proposals)) / (samples * len(proposals))
    return {name: loss * share for name, loss in losses(predictions, proposals).items()}


def build_model(config: CfgNode, pictures: torch.Tensor | None = None) -> torch.nn.Module:
    """The detector, in training mode. Without weights, `pictures` [n, 3, H, W] give the batch norm its statistics."""
    model = build_from_config(config)
    model.preprocess_image = partial(canvas_images, model)
    model.proposal_generator.anchor_matcher.allow_low_quality_matches = LOW_QUALITY_MATCHES
    predictor = model.roi_heads.box_predictor
    predictor.losses = partial(roi_losses, predictor.losses, config.MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE)
    if pictures is not None:
        norms = [module for module in model.backbone.modules() if isinstance(module, FrozenBatchNorm2d)]
        blocks = [module for module in model.backbone.modules() if isinstance(module, (BasicBlock, BottleneckBlock))]
        last = [(block.conv3 if isinstance(block, BottleneckBlock) else block.conv2).norm for block in blocks]
        pictures = (pictures.flip(-3).to(model.pixel_mean.device) - model.pixel_mean) / model.pixel_std
        calibrate(model.backbone, norms, last, pictures)
    return model.train()


def loss_of(model: torch.nn.Module, samples: Sequence[Sample]) -> torch.Tensor:
    """The sum of the four losses."""
    inputs = []
    for sample in samples:
        truth = Instances(sample["extent"], gt_boxes=Boxes(sample["boxes"]), gt_classes=sample["labels"])
        inputs.append({"image": sample["image"].flip(-3), "extent": sample["extent"], "instances": truth})  # BGR
    with EventStorage():
        return sum(model(inputs).values())


def detect(model: torch.nn.Module, picture: torch.Tensor) -> Dict[str, torch.Tensor]:
    """Boxes, scores and labels 0..K-1 in a picture, in its own pixels."""
    placed, extent, _ = letterbox(picture, TRAINING.canvas)
    height, width = picture.shape[-2:]
    (found,) = model([{"image": placed.flip(-3), "extent": extent, "height": height, "width": width}])
    instances = found["instances"]
    return {"boxes": instances.pred_boxes.tensor, "scores": instances.scores, "labels": instances.pred_classes}


def main() -> None:
    """Train, evaluate, and leave the weights in the output folder."""
    folder = Path(__file__).resolve().parent
    config = load_config(folder)
    options = arguments("Train the exported Faster R-CNN with Detectron2.", config.MODEL.WEIGHTS or "none")
    config.MODEL.DEVICE = options.device
    torch.manual_seed(TRAINING.seed)
    annotated = Annotated(folder / TRAINING.train, folder / TRAINING.train_images, TRAINING.upright)
    pictures = calibration_pictures(annotated, TRAINING) if options.weights == "none" else None
    model = build_model(config, pictures)
    if options.weights != "none":
        DetectionCheckpointer(model).load(options.weights)
    run(model, model.proposal_generator, partial(loss_of, model), partial(detect, model), TRAINING, folder, options)


if __name__ == "__main__":
    main()
