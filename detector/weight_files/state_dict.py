"""Whose state dict it is, by its names, and what it means under ours."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from detector.config import BackboneName, ConfigError
from detector.geometry import MSRA, TORCHVISION, Geometry, Pixels
from detector.resnets import RESNETS, Convolution
from detector.weight_files import dialects
from detector.weight_files.caffe2_names import FOLDED_VARIANCE, detectron2_names
from detector.weight_files.coco_names import classes_of
from detector.weight_files.dialects import Dialect
from detector.weight_files.found_weights import AnchorLayout, FileKind, FoundWeights
from detector.weight_files.statement import STATEMENT, Statement, statement_of
from detector.weight_files.translation import Translation

WRAPPERS = ("model", "state_dict", "model_state_dict", "blobs")  # keys under which trainings keep one
USUAL_RATIOS = 3  # of an anchor, in every framework's default
FIRST_BLOCK = {
    FileKind.TORCHVISION: ("layer1.0.conv1.weight", ("", "body.", "backbone.body.")),
    FileKind.DETECTRON2: ("res2.0.conv1.weight", ("", "bottom_up.", "backbone.bottom_up.")),
}
DIALECTS = {FileKind.TORCHVISION: dialects.TORCHVISION, FileKind.DETECTRON2: dialects.DETECTRON2}

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDict:
    """The arrays of a file by their names, and what else it says."""

    values: Values
    author: str = ""  # Detectron2's files have one
    statement: Statement | None = None  # ours, in another framework's file
    epsilon: float | None = None  # of its batch norms, where the file is known to be one with another than usual


def unwrapped(loaded: Any, *, statement: str = "") -> StateDict:
    """The arrays of a file, out of whatever a training wraps around them.

    Raises:
        ConfigError: there are none, or our own statement in it is damaged.
    """
    author = ""
    said: Any = statement
    for _ in WRAPPERS:
        if not isinstance(loaded, Mapping):
            break
        author, said = author or str(loaded.get("__author__", ""))[:80], said or loaded.get(STATEMENT, "")
        inner = next((loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    entries = loaded.items() if isinstance(loaded, Mapping) else ()
    arrays = {str(name).removeprefix("module."): value for name, value in entries if isinstance(value, np.ndarray)}
    if not arrays:
        raise ConfigError("it holds no arrays")
    return StateDict(values=arrays, author=author, statement=_read(said) if said else None)


def _read(said: object) -> Statement:
    try:
        return statement_of(str(said))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"what it says under {STATEMENT} is damaged: {error!r}") from error


def recognise(state: StateDict) -> FoundWeights:
    """The weights under our names, with the geometry that they were trained in.

    Raises:
        ConfigError: it is no ResNet of these, or it lacks values.
    """
    if "conv1_w" in state.values:
        state = replace(state, values=detectron2_names(state.values))
    for kind, (first, bodies) in FIRST_BLOCK.items():
        for body in bodies:
            if body + first in state.values:
                return _found(kind, body, state)
    raise ConfigError(
        "its names are neither torchvision's nor Detectron2's ResNets with or without a Faster R-CNN: "
        + ", ".join(sorted(map(str, state.values))[:3])
        + ", …"
    )


def _found(kind: FileKind, body: str, state: StateDict) -> FoundWeights:
    dialect = DIALECTS[kind]
    backbone = _backbone(dialect, body, state.values)
    geometry = _geometry(kind, state)
    values = _floats(state.values)
    if kind is FileKind.DETECTRON2:
        values = _with_statistics(dialect, body, backbone, values)
    ratios_first = dialect.ratios_first if state.statement is None else state.statement.ratios_first
    translation = Translation(
        dialect=replace(dialect, ratios_first=ratios_first), shape=RESNETS[backbone], geometry=geometry, body=body
    )
    ours = translation.our_backbone(values)
    if body != dialect.body or "roi_heads.box_predictor.cls_score.weight" not in values:
        return FoundWeights(kind=kind, geometry=geometry, backbone=backbone, values=ours)
    values = _renamed(values)
    if missing := next(translation.missing_heads(values), None):
        remark = f"its pyramid and heads are of another kind (no {missing}), so only its backbone is taken"
        return FoundWeights(kind=kind, geometry=geometry, backbone=backbone, values=ours, remark=remark)
    count = len(values[f"{dialect.layers['class_logits']}.bias"]) - 1
    anchors = _anchors(len(values[f"{dialect.layers['rpn_logits']}.bias"]), state.statement)
    return FoundWeights(
        kind=kind,
        geometry=geometry if state.statement else _with_heads(kind, geometry),
        backbone=backbone,
        values=ours | translation.our_heads(values, anchors),
        classes=state.statement.classes if state.statement else classes_of(count),
        anchors=anchors,
    )


def _backbone(dialect: Dialect, body: str, values: Values) -> BackboneName:
    """The ResNet with as many blocks, of the same kind."""

    def there(convolution: Convolution) -> bool:
        return f"{body}{dialect.convolution(convolution)[0]}.weight" in values

    counts = [
        next(count for count in range(1000) if not there(Convolution(stage=stage, block=count)))
        for stage in range(2, 6)
    ]
    bottleneck = there(Convolution(stage=2, number=3))
    for name, shape in RESNETS.items():
        if list(shape.blocks) == counts and shape.bottleneck == bottleneck:
            return name
    raise ConfigError(
        f"its backbone has {counts} {'bottleneck' if bottleneck else 'basic'} blocks, as none of {', '.join(RESNETS)}"
    )


def _geometry(kind: FileKind, state: StateDict) -> Geometry:
    if state.statement is not None:
        return state.statement.geometry
    deviation = state.values.get("pixel_std", np.ones(3)).ravel().tolist()  # old Detectron2 files carry these
    if kind is FileKind.DETECTRON2 and state.author != "torchvision" and deviation == [1, 1, 1]:
        mean = state.values.get("pixel_mean", np.array(MSRA.pixels.mean)).ravel().tolist()
        first, second, third = (round(value, 3) for value in mean)  # float32 in the file
        return replace(MSRA, pixels=Pixels(order=MSRA.pixels.order, mean=(first, second, third)))
    return TORCHVISION if state.epsilon is None else replace(TORCHVISION, norm_epsilon=state.epsilon)


def _with_heads(kind: FileKind, geometry: Geometry) -> Geometry:
    """Both lay their first anchor into the corner; torchvision rounds it, and its RoIs are not aligned."""
    stock = kind is FileKind.TORCHVISION
    return replace(geometry, anchor_offset=0.0, rounded_anchors=stock, aligned_rois=not stock)


def _anchors(per_cell: int, statement: Statement | None) -> AnchorLayout | None:
    if statement is not None:
        return statement.anchors
    sizes, rest = divmod(per_cell, USUAL_RATIOS)
    return None if rest else AnchorLayout(sizes=sizes, ratios=USUAL_RATIOS)


def _floats(values: Values) -> dict[str, np.ndarray]:
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def _with_statistics(dialect: Dialect, body: str, backbone: BackboneName, values: Values) -> dict[str, np.ndarray]:
    """Mean 0 and variance 1, epsilon included, for norms whose statistics were folded into gamma and beta."""
    whole = dict(values)
    for convolution in RESNETS[backbone].convolutions():
        norm = body + dialect.convolution(convolution)[1]
        gamma = values.get(f"{norm}.weight")
        if gamma is not None:
            whole.setdefault(f"{norm}.running_mean", np.zeros_like(gamma))
            whole.setdefault(f"{norm}.running_var", np.full_like(gamma, FOLDED_VARIANCE))
    return whole


_OLD: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)", lambda found: f"{found[1]}.0.{found[2]}"),
    (r"rpn\.head\.conv\.(weight|bias)", lambda found: f"rpn.head.conv.0.0.{found[1]}"),
)


def _renamed(values: Values) -> dict[str, np.ndarray]:
    """Names of torchvision before 0.13, which its own files still have, as it has them now."""
    names = {}
    for name in values:
        new = next((rule(found) for pattern, rule in _OLD if (found := re.fullmatch(pattern, name))), name)
        names[name] = new
    return {names[name]: value for name, value in values.items()}
