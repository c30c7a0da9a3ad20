"""Our export of the golden ResNet-50 in the real Detectron2, against what torchvision computes with the same values.

Run by a Python with torch, torchvision and Detectron2's source with what it needs (docs/weights.md):

    python -m tests.support.exported_golden FOLDER
    python -m tests.support.detectron2_golden tests/fixtures/torchvision_golden.npz FOLDER/resnet50.pkl
"""

import logging
import sys
from pathlib import Path

import numpy as np
import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import get_cfg
from detectron2.modeling import build_model
from detectron2.structures import Boxes, ImageList

from tests.support.random_detector import boxes, picture, places

BOXES, TOLERANCE = 20, 1e-4
CANVASES = ((64, 64), (64, 128), (128, 128))


def model() -> torch.nn.Module:
    """A Faster R-CNN R50-FPN with what the export's line says."""
    cfg = get_cfg()
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.BACKBONE.NAME = "build_resnet_fpn_backbone"
    cfg.MODEL.RESNETS.OUT_FEATURES = ["res2", "res3", "res4", "res5"]
    cfg.MODEL.RESNETS.STRIDE_IN_1X1 = False
    cfg.MODEL.FPN.IN_FEATURES = ["res2", "res3", "res4", "res5"]
    cfg.MODEL.ANCHOR_GENERATOR.SIZES = [[32], [64], [128], [256], [512]]
    cfg.MODEL.RPN.IN_FEATURES = ["p2", "p3", "p4", "p5", "p6"]
    cfg.MODEL.ROI_HEADS.NAME = "StandardROIHeads"
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 3
    cfg.MODEL.ROI_HEADS.IN_FEATURES = ["p2", "p3", "p4", "p5"]
    cfg.MODEL.ROI_BOX_HEAD.NAME = "FastRCNNConvFCHead"
    cfg.MODEL.ROI_BOX_HEAD.NUM_FC = 2
    cfg.MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION = 7
    cfg.MODEL.ROI_BOX_HEAD.POOLER_TYPE = "ROIAlign"
    cfg.MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO = 2
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    return build_model(cfg).eval()


@torch.inference_mode()
def outputs(network: torch.nn.Module, height: int, width: int) -> dict[str, np.ndarray]:
    """The stages under the names and in the order of torchvision's golden samples."""
    image = torch.from_numpy(picture(height, width)).permute(2, 0, 1).float()
    images = ImageList.from_tensors([(image - network.pixel_mean) / network.pixel_std])
    features = network.backbone(images.tensor)
    levels = [features[f"p{number}"] for number in range(2, 7)]
    logits, deltas = network.proposal_generator.rpn_head(levels)
    given = [Boxes(torch.from_numpy(boxes(height, width, BOXES)[:, [1, 0, 3, 2]]))]
    heads = network.roi_heads
    pooled = heads.box_pooler(levels[:4], given)
    classes, changes = heads.box_predictor(heads.box_head(pooled))
    arrays = {
        **{f"P{number}": level[0].permute(1, 2, 0) for number, level in enumerate(levels, start=2)},
        **{f"rpn_logits{number}": level[0].permute(1, 2, 0) for number, level in enumerate(logits, start=2)},
        **{f"rpn_deltas{number}": level[0].permute(1, 2, 0) for number, level in enumerate(deltas, start=2)},
        "class_logits": torch.cat([classes[:, -1:], classes[:, :-1]], dim=1),
        "box_deltas": changes,
    }
    return {name: array.numpy() for name, array in arrays.items()}


def main(golden: Path, weights: Path) -> int:
    """Print what was not loaded and the largest relative difference; 1 if there is any, or it is too large."""
    network, worst = model(), 0.0
    loaded = DetectionCheckpointer(network)._load_model(DetectionCheckpointer(network)._load_file(str(weights)))
    sys.stdout.write(f"missing {loaded.missing_keys}, unexpected {loaded.unexpected_keys}, ")
    sys.stdout.write(f"of another shape {loaded.incorrect_shapes}\n")
    with np.load(golden) as expected:
        for height, width in CANVASES:
            for name, array in outputs(network, height, width).items():
                key = f"resnet50/{height}x{width}/{name}"
                difference = np.abs(array.ravel()[places(name, array.size)] - expected[key]).max()
                worst = max(worst, float(difference / expected[f"{key}/largest"]))
    sys.stdout.write(f"Detectron2: largest relative difference to torchvision {worst:.2g}\n")
    lacking = [*loaded.missing_keys, *loaded.unexpected_keys, *loaded.incorrect_shapes]
    return int(bool(lacking) or worst > TOLERANCE)


if __name__ == "__main__":
    logging.disable(logging.INFO)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
