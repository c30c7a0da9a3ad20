"""The golden detectors as files of ours, and as `export --weights` writes these: for a Python with PyTorch.

python -m tests.support.exported_golden FOLDER      # the rest is up to torchvision_golden
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from detector.config import Anchors, Canvas, Hyperparameters, StepShape
from detector.weight_files.opening import open_weights
from search.export.framework_weights import export_to_detectron2, export_to_torchvision
from tests.support.random_detector import random_values

GOLDEN = Path(__file__).resolve().parents[1] / "fixtures" / "torchvision_golden.npz"
SUFFIXES = {"resnet34": ".pth"}


def ours(name: str, folder: Path) -> Path:
    """A file such as `train` leaves, with the values of a golden case."""
    with np.load(GOLDEN) as golden:
        shapes, sizes = json.loads(str(golden[f"{name}/shapes"])), golden[f"{name}/sizes"].tolist()
    theirs = random_values(shapes, seed=7, closing=2 if name in ("resnet18", "resnet34") else 3)
    save_file(theirs, folder / "theirs.safetensors")
    found = open_weights(folder / "theirs.safetensors")
    assert found.backbone is not None
    assert found.anchors is not None
    anchors = Anchors(sizes_px=tuple(map(tuple, sizes)))
    shape = StepShape(
        canvas=Canvas(height_px=64, width_px=64), micro_batch=1, anchors_per_cell=found.anchors.per_cell,
        boxes_per_image=1, classes=3, backbone=found.backbone, geometry=found.geometry,
    )  # fmt: skip
    facts = {
        "shape": asdict(shape),
        "hyperparameters": asdict(replace(Hyperparameters(), anchors=anchors)),
        "classes": ["a", "b", "c"],
    }
    path = folder / "ours.safetensors"
    save_file(dict(found.values), path, {key: json.dumps(fact) for key, fact in facts.items()})
    return path


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for case in ("resnet50", "resnet18", "resnet34", "resnet101"):
        source = ours(case, target)
        for write, suffix in (
            (export_to_torchvision, SUFFIXES.get(case, ".safetensors")),
            (export_to_detectron2, ".pkl"),
        ):
            output = target / f"{case}{suffix}"
            output.unlink(missing_ok=True)
            sys.stdout.write(write(source, output) + "\n")
