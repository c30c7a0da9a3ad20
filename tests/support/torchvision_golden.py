"""What torchvision computes with values drawn by name: kept as samples in tests/fixtures/torchvision_golden.npz, so
that the tests need no torch.

Run by a Python that has torch, torchvision, NumPy and safetensors (`make check-weights` makes one):

    python -m tests.support.torchvision_golden write FILE.npz
    python -m tests.support.torchvision_golden compare FILE.npz                 # torchvision of today, by these samples
    python -m tests.support.torchvision_golden compare FILE.npz FOLDER          # the same of what we exported there
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops.misc import FrozenBatchNorm2d

from tests.support.random_detector import boxes, picture, places, random_values

RATIOS = (0.5, 1.0, 2.0)
LEAST_SCORE = 0.5
BOXES = 20
SEED = 7
TOLERANCE = 1e-4  # relative to the largest value of an array


@dataclass(frozen=True)
class Case:
    """One detector and the canvases that it is tried on."""

    backbone: str
    canvases: tuple[tuple[int, int], ...]
    sizes: tuple[tuple[int, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    norm: type[torch.nn.Module] = FrozenBatchNorm2d

    @property
    def closing(self) -> int:
        return 2 if self.backbone in ("resnet18", "resnet34") else 3

    def model(self) -> FasterRCNN:
        body = resnet_fpn_backbone(backbone_name=self.backbone, weights=None, norm_layer=self.norm, trainable_layers=5)
        anchors = AnchorGenerator(self.sizes, (RATIOS,) * len(self.sizes))
        return FasterRCNN(
            body, num_classes=4, rpn_anchor_generator=anchors, box_score_thresh=LEAST_SCORE,
            rpn_pre_nms_top_n_test=1000, rpn_post_nms_top_n_test=1000,
        ).eval()  # fmt: skip


CASES = {
    "resnet50": Case("resnet50", ((64, 64), (64, 128), (128, 128))),
    "resnet18": Case("resnet18", ((64, 64),), sizes=tuple((side, 2 * side) for side in (8, 16, 32, 64, 128))),
    "resnet34": Case("resnet34", ((64, 64),), norm=torch.nn.BatchNorm2d),
    "resnet101": Case("resnet101", ((64, 64),)),
}


@torch.inference_mode()
def outputs(model: FasterRCNN, height: int, width: int) -> dict[str, np.ndarray]:
    """Every stage of the model on the picture of that size; levels as [h, w, channels], boxes as `yxyx`."""
    pixels = torch.from_numpy(picture(height, width)).permute(2, 0, 1).float() / 255
    images = ImageList(model.transform.normalize(pixels)[None], [(height, width)])
    features = model.backbone(images.tensors)
    levels = list(features.values())
    logits, deltas = model.rpn.head(levels)
    given = torch.from_numpy(boxes(height, width, BOXES)[:, [1, 0, 3, 2]])
    heads = model.roi_heads
    pooled = heads.box_roi_pool(features, [given], images.image_sizes)
    classes, changes = heads.box_predictor(heads.box_head(pooled))
    proposals, _ = model.rpn(images, features)
    (found,), _ = heads(features, proposals, images.image_sizes)
    arrays = {
        **{f"P{number}": level[0].permute(1, 2, 0) for number, level in enumerate(levels, start=2)},
        **{f"rpn_logits{number}": level[0].permute(1, 2, 0) for number, level in enumerate(logits, start=2)},
        **{f"rpn_deltas{number}": level[0].permute(1, 2, 0) for number, level in enumerate(deltas, start=2)},
        "class_logits": classes,
        "box_deltas": changes[:, 4:],  # nobody reads the background's
        "boxes": found["boxes"][:, [1, 0, 3, 2]],
        "scores": found["scores"],
        "labels": found["labels"],
    }
    return {name: array.numpy() for name, array in arrays.items()}


def samples(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Detections whole, and of other arrays a few values and the largest magnitude."""
    kept = {}
    for name, array in arrays.items():
        if name in ("boxes", "scores", "labels"):
            kept[name] = array
        else:
            kept[name] = array.ravel()[places(name, array.size)]
            kept[f"{name}/shape"] = np.array(array.shape, np.int32)
            kept[f"{name}/largest"] = np.abs(array).max()
    return kept


def computed(case: Case, weights: Path | None = None) -> dict[str, np.ndarray]:
    """Samples of all canvases by `HxW/name`, from values drawn by name or from the file."""
    model = case.model()
    state = model.state_dict()
    if weights is None:
        drawn = random_values({name: value.shape for name, value in state.items()}, SEED, case.closing)
        model.load_state_dict({name: torch.from_numpy(value) for name, value in drawn.items()})
    else:
        is_pickle = weights.suffix == ".pth"
        values = torch.load(weights, weights_only=True) if is_pickle else load_file(weights)
        lacking, unknown = model.load_state_dict(values, strict=False)
        lacking = [name for name in lacking if not name.endswith("num_batches_tracked")]
        assert not lacking + unknown, (lacking, unknown)
    found = {}
    for height, width in case.canvases:
        found |= {f"{height}x{width}/{name}": value for name, value in samples(outputs(model, height, width)).items()}
    return found


def write(path: Path) -> None:
    """The fixture: samples of every case, and the names and shapes of its values."""
    kept = {}
    for name, case in CASES.items():
        kept |= {f"{name}/{key}": value for key, value in computed(case).items()}
        shapes = {key: list(value.shape) for key, value in case.model().state_dict().items()}
        kept[f"{name}/shapes"] = np.array(json.dumps(shapes))
        kept[f"{name}/sizes"] = np.array(case.sizes, np.float64)
    np.savez_compressed(path, **kept)
    sys.stdout.write(f"wrote {path}: {path.stat().st_size} bytes, torchvision's outputs by torch {torch.__version__}\n")


def compare(path: Path, folder: Path | None) -> int:
    """Print the largest difference of each case, relative to the largest value of its array; 1 if one is too large."""
    golden, worst = np.load(path), 0.0
    for name, case in CASES.items():
        differences = {}
        weights = None if folder is None else next(file for file in folder.glob(f"{name}.*") if file.suffix != ".pkl")
        for key, value in computed(case, weights).items():
            expected = golden[f"{name}/{key}"]
            assert value.shape == expected.shape, (key, value.shape, expected.shape)
            largest = golden[f"{name}/{key}/largest"] if f"{name}/{key}/largest" in golden else np.abs(expected).max()
            differences[key] = float(np.abs(value - expected).max() / largest)
        place = max(differences, key=differences.__getitem__)
        sys.stdout.write(
            f"{name}: {len(differences)} arrays, largest relative difference {differences[place]:.2g} ({place})\n"
        )
        worst = max(worst, differences[place])
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    command, file, *rest = sys.argv[1:]
    if command == "write":
        write(Path(file))
    else:
        sys.exit(compare(Path(file), Path(rest[0]) if rest else None))
