"""Trained weights as torchvision and Detectron2 load them, and what a model there must have to mean the same."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from detector.config import ConfigError, require
from detector.geometry import Geometry, StridePlace
from detector.resnets import RESNETS
from detector.weight_files.found_weights import FileKind, FoundWeights
from detector.weight_files.opening import open_weights
from detector.weight_files.statement import Statement
from detector.weight_files.writing import is_stock, write_detectron2, write_torchvision

Write = Callable[[Path, Mapping[str, np.ndarray], Statement], None]


def export_to_torchvision(weights: Path, output: Path) -> str:
    """Write them under torchvision's names, as safetensors or by PyTorch as .pth; says what was written.

    Raises:
        ConfigError: they are no whole detector, or the file cannot be written.
    """
    _require_suffix(output, ".safetensors", ".pth", ".pt")
    statement = _written(weights, output, write_torchvision)
    return f"wrote {output} for torchvision's {_model(statement)}; {_torchvision_settings(statement)}"


def export_to_detectron2(weights: Path, output: Path) -> str:
    """Write them as a file of Detectron2's model zoo; says what was written.

    Raises:
        ConfigError: they are no whole detector, or the file cannot be written.
    """
    _require_suffix(output, ".pkl")
    statement = _written(weights, output, write_detectron2)
    return f"wrote {output} for Detectron2; {_detectron2_settings(statement)}"


def _require_suffix(output: Path, *suffixes: str) -> None:
    require(
        output.suffix in suffixes,
        f"--output must end in {' or '.join(suffixes)} for this framework, but is {str(output)!r}",
    )


def _written(weights: Path, output: Path, write: Write) -> Statement:
    found = open_weights(weights)
    statement = _statement(weights, found)
    try:
        write(output, found.values, statement)
    except KeyError as error:
        raise ConfigError(f"{weights} is not a whole detector: it lacks {error}") from None
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ConfigError(f"{output} cannot be written ({error}); choose another --output") from error
    return statement


def _statement(path: Path, found: FoundWeights) -> Statement:
    whole = found.has_heads and found.backbone is not None and found.anchors is not None
    if found.kind is not FileKind.OURS or not whole or found.backbone is None or found.anchors is None:
        raise ConfigError(
            f"{path} is no whole detector of ours but {found.kind}'s or a backbone; give weights.safetensors, which "
            "`frcnn-search train` leaves in its --output"
        )
    return Statement(
        geometry=found.geometry, backbone=found.backbone, classes=found.classes or (), anchors=found.anchors
    )


def _model(statement: Statement) -> str:
    return f"FasterRCNN on {statement.backbone} with {len(statement.classes)} classes and the background first"


def _torchvision_settings(statement: Statement) -> str:
    pixels = statement.geometry.pixels
    needed = [
        f"pixels {pixels.order} of 0..255 less {_listed(pixels.mean)} over {_listed(pixels.deviation)}",
        f"stride in the {statement.geometry.stride_place} convolution",
    ]
    if not is_stock(statement):
        needed.append(f"anchors from {statement.geometry.anchor_offset:g} of a cell, not rounded")
        needed.append(f"RoIAlign aligned={statement.geometry.aligned_rois}")
    return f"it means the same only with {', '.join(needed)}; the script of `export --format torchvision` sets these"


def _detectron2_settings(statement: Statement) -> str:
    geometry, shape = statement.geometry, RESNETS[statement.backbone]
    pooler = "ROIAlignV2" if geometry.aligned_rois else "ROIAlign"
    return "it means the same only with " + ", ".join(
        (
            f"MODEL.RESNETS.DEPTH {shape.depth}",
            *([] if shape.bottleneck else [f"MODEL.RESNETS.RES2_OUT_CHANNELS {shape.channels[0]}"]),
            f"MODEL.RESNETS.STRIDE_IN_1X1 {_stride_is_first(geometry)}",
            f"INPUT.FORMAT {geometry.pixels.order}",
            f"MODEL.PIXEL_MEAN [{_listed(geometry.pixels.mean)}]",
            f"MODEL.PIXEL_STD [{_listed(geometry.pixels.deviation)}]",
            f"MODEL.ANCHOR_GENERATOR.OFFSET {geometry.anchor_offset:g}",
            f"MODEL.ROI_BOX_HEAD.POOLER_TYPE {pooler} and POOLER_SAMPLING_RATIO 2",
        )
    )


def _stride_is_first(geometry: Geometry) -> bool:
    return geometry.stride_place is StridePlace.FIRST


def _listed(values: tuple[float, float, float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
