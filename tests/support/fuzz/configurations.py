"""Configurations of other frameworks, which strangers wrote: read, made trial 0, and looked at."""

import json
from functools import partial
from pathlib import Path

import numpy as np

from detector.config import Canvas
from search.imports.formats.detectron2_defaults import DEFAULTS
from search.imports.framework import Framework
from search.imports.lint.ground import Ground
from search.imports.lint.lint import lint
from search.imports.recognition import read_imported
from search.imports.their_canvas import their_canvas
from search.imports.trial_zero import trial_zero
from spaces.anchor_fit import CanvasBoxes
from tests.support.fuzz.target import Target, written

FAILING = Path(__file__).parents[2] / "search" / "imports" / "failing"
SUFFIXES = {
    Framework.DETECTRON2: ".yaml",
    Framework.MMDET: ".py",
    Framework.TORCHVISION: ".json",
    Framework.TF_OD: ".config",
    Framework.TFM: ".yaml",
}
CANVAS = Canvas(height_px=96, width_px=128)
BOXES = CanvasBoxes(
    canvas=CANVAS,
    boxes=np.array([[4.0, 4, 20, 28], [30, 40, 90, 70]]),
    labels=np.array([0, 1]),
    areas=np.array([384.0, 1800]),
    images=np.array([0, 1]),
    image_count=2,
    classes=("disc", "square"),
)


def _seeds(framework: Framework, _: Path) -> list[bytes]:
    texts = [file.read_bytes() for file in sorted(FAILING.glob(f"*{SUFFIXES[framework]}"))]
    if framework in (Framework.DETECTRON2, Framework.TFM):
        texts = [text for text in texts if (b"task:" in text) == (framework is Framework.TFM)]
    return [*texts, json.dumps(DEFAULTS).encode()] if framework is Framework.DETECTRON2 else texts


def _read(framework: Framework, content: bytes, folder: Path) -> None:
    file = written(folder / f"theirs{SUFFIXES[framework]}", content)
    imported = read_imported(file, framework=framework, gpus=2, images=2)
    if imported.resize is not None:
        their_canvas(imported.resize.value, [(480, 640)])
    zero = trial_zero(imported)
    anchors = zero.hyperparameters.anchors
    findings = lint(imported, zero, Ground(images=2, boxes=BOXES, anchors=anchors))
    assert all(each.message and each.advice for each in findings)


TARGETS = tuple(
    Target(name=f"from-{each}", seeds=partial(_seeds, each), read=partial(_read, each), share=0.5) for each in Framework
)
