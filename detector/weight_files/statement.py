"""What a file says of its own weights, where we wrote it: geometry, classes, anchors of a cell."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from detector.config import BackboneName
from detector.geometry import KERAS, ChannelOrder, Geometry, Pixels, StridePlace
from detector.json_text import read_json
from detector.weight_files.found_weights import AnchorLayout

STATEMENT = "frcnn_search"  # key under which another framework's file carries it


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The facts that names and shapes of values do not tell."""

    geometry: Geometry
    backbone: BackboneName
    classes: tuple[str, ...]
    anchors: AnchorLayout
    ratios_first: bool = False  # among the rows of the RPN's outputs

    def text(self) -> str:
        """As one line of JSON, which `statement_of` reads."""
        return json.dumps(asdict(self))


def statement_of(text: str) -> Statement:
    """The inverse of `Statement.text`.

    Raises:
        ValueError, KeyError, TypeError: it is no such text.
    """
    said = read_json(text)
    return Statement(
        geometry=geometry_of(said["geometry"]),
        backbone=BackboneName(said["backbone"]),
        classes=_names(said["classes"]),
        anchors=AnchorLayout(sizes=int(said["anchors"]["sizes"]), ratios=int(said["anchors"]["ratios"])),
        ratios_first=bool(said["ratios_first"]),
    )


def statement_of_ours(metadata: Mapping[str, str]) -> Statement | None:
    """What stands beside the values that a training left; None beside those of a backbone alone.

    Raises:
        ValueError, KeyError, TypeError: it is not what a training writes.
    """
    if not metadata.keys() >= {"shape", "hyperparameters", "classes"}:
        return None
    shape, hyperparameters = read_json(metadata["shape"]), read_json(metadata["hyperparameters"])
    anchors = hyperparameters["anchors"]
    return Statement(
        geometry=geometry_of(shape["geometry"]) if "geometry" in shape else KERAS,
        backbone=BackboneName(shape.get("backbone", BackboneName.RESNET50)),
        classes=_names(read_json(metadata["classes"])),
        anchors=AnchorLayout(sizes=len(anchors["sizes_px"][0]), ratios=len(anchors["ratios"])),
    )


def geometry_of(said: Mapping[str, Any]) -> Geometry:
    """The geometry whose fields, as JSON has them, are these.

    Raises:
        ValueError, KeyError, TypeError: they are not.
    """
    pixels = said["pixels"]
    mean, deviation = (_three(pixels[name]) for name in ("mean", "deviation"))
    return Geometry(
        stride_place=StridePlace(said["stride_place"]),
        pixels=Pixels(order=ChannelOrder(pixels["order"]), mean=mean, deviation=deviation),
        norm_epsilon=float(said["norm_epsilon"]),
        anchor_offset=float(said["anchor_offset"]),
        rounded_anchors=bool(said["rounded_anchors"]),
        aligned_rois=bool(said["aligned_rois"]),
    )


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = map(float, values)
    return first, second, third


def _names(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(name, str) for name in values):
        raise ValueError("classes are not a list of names")
    return tuple(values)
