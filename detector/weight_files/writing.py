"""Our detector's values as another framework's file."""

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from detector.resnets import RESNETS
from detector.weight_files.dialects import DETECTRON2, TORCHVISION, Dialect
from detector.weight_files.statement import STATEMENT, Statement
from detector.weight_files.torch_file import write_torch
from detector.weight_files.translation import Translation
from detector.whole_file import write_whole

AUTHOR = "frcnn-search"  # without one Detectron2 guesses names


def write_torchvision(path: Path, values: Mapping[str, np.ndarray], statement: Statement) -> None:
    """A state dict under torchvision's names: by PyTorch where the file ends in .pth or .pt, else as safetensors.

    Anchors of a cell go through ratios first, as in torchvision's own, only where theirs mean the same as these.

    Raises:
        ConfigError: PyTorch is needed and not there.
        OSError, SafetensorError, RuntimeError: it cannot be written.
    """
    statement = replace(statement, ratios_first=is_stock(statement))
    theirs = _translated(TORCHVISION, values, statement)
    if path.suffix in (".pth", ".pt"):
        write_whole(path, lambda file: write_torch(file, theirs))
    else:
        write_whole(path, lambda file: save_file(theirs, file, metadata={STATEMENT: statement.text()}))


def write_detectron2(path: Path, values: Mapping[str, np.ndarray], statement: Statement) -> None:
    """A pickle of arrays under Detectron2's names, as its model zoo has them.

    Raises:
        OSError: it cannot be written.
    """
    theirs = _translated(DETECTRON2, values, statement)
    content = pickle.dumps({"model": theirs, "__author__": AUTHOR, STATEMENT: statement.text()}, protocol=4)
    write_whole(path, lambda file: file.write_bytes(content))


def is_stock(statement: Statement) -> bool:
    """Whether torchvision's own anchors and RoIs are those of these weights."""
    geometry = statement.geometry
    return geometry.anchor_offset == 0 and geometry.rounded_anchors and not geometry.aligned_rois


def _translated(dialect: Dialect, values: Mapping[str, np.ndarray], statement: Statement) -> dict[str, np.ndarray]:
    translation = Translation(
        dialect=replace(dialect, ratios_first=statement.ratios_first),
        shape=RESNETS[statement.backbone],
        geometry=statement.geometry,
        body=dialect.body,
    )
    return translation.their_backbone(values) | translation.their_heads(values, statement.anchors)
