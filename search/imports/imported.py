"""One configuration of another framework, in one vocabulary: what it wishes, whether or not that can work."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from detector.config import BackboneName, Canvas, DetectorSettings, Optimizer
from detector.resnets import RESNETS
from search.imports.framework import Framework
from search.imports.wish import Wish

BACKBONES: Mapping[str, BackboneName] = {shape.title: name for name, shape in RESNETS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """How large images get in training: by their short side and at most a long one, or into a frame."""

    short_px: tuple[float, ...] = ()  # one is drawn for each image; empty with a frame
    most_long_px: float = float("inf")
    frame: Canvas | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """What the backbone gets: (value - mean) / std, channel by channel."""

    order: Wish[str]  # RGB or BGR
    mean: Wish[tuple[float, ...]]
    std: Wish[tuple[float, ...]]
    white: float  # of the values from which the mean is subtracted: 255, or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something of theirs that no trial here can have, and what trial 0 has in its place."""

    theirs: Wish[Any]
    what: str  # theirs, in words: `Cascade R-CNN with three box heads`
    instead: str  # ours


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirBackbone:
    """What their features come from."""

    theirs: Wish[Any]  # what says so in their file
    words: str  # `ResNet-18`, or what another kind is called

    @property
    def name(self) -> BackboneName | None:
        """The same here, if there is one."""
        return BACKBONES.get(self.words)

    def differences(self) -> Iterator[Difference]:
        """That there is none like it here, if so."""
        if self.name is None:
            yield Difference(theirs=self.theirs, what=self.words, instead=RESNETS[DetectorSettings().backbone].title)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Raw numbers: they may break the rules of `Hyperparameters`. Lengths of the schedule are in iterations."""

    framework: Framework
    source: str  # the file's name
    gpus: int  # on which it is trained

    sizes_px: Wish[tuple[tuple[float, ...], ...]]  # a list for each of their levels
    strides_px: tuple[int, ...]  # of their levels
    ratios: Wish[tuple[float, ...]]  # height / width
    ratios_inverted: bool = False  # they write width / height

    optimizer: Wish[Optimizer]
    learning_rate: Wish[float]  # of a whole batch
    batch_size: Wish[int]  # on all GPUs together
    momentum: Wish[float]
    weight_decay: Wish[float]
    clip_norm: Wish[float | None]  # None: off
    iterations: Wish[float]
    warmup_iterations: Wish[float]
    warmup_factor: Wish[float]
    milestones: Wish[tuple[float, ...]]
    decay_factor: Wish[float]

    rpn_positive_iou: Wish[float]
    rpn_negative_iou: Wish[float]
    rpn_positive_fraction: Wish[float]
    low_quality_matches: Wish[bool]
    least_best_iou: Wish[float] | None = None  # of a low-quality match, where they set it
    roi_positive_iou: Wish[float]
    roi_positive_fraction: Wish[float]
    proposal_nms_iou: Wish[float]
    detection_nms_iou: Wish[float]
    score_threshold: Wish[float]
    rpn_lr_factor: Wish[float] | None = None

    flip_probability: Wish[float]
    resize: Wish[Resize] | None

    backbone: TheirBackbone
    weights: Wish[str]  # what training starts from; empty: random
    frozen_stages: Wish[int]
    norm_trains: Wish[bool]  # batch norm with the statistics of each batch
    pixels: Pixels | None = None  # None: built into the framework
    classes: Wish[int]  # as their head counts them
    counts_background: bool = False  # theirs is one more than the data's
    class_names: Wish[tuple[str, ...]] | None = None  # empty: the file could name them, but does not
    names_needed: Wish[bool] | None = None  # True: without names the framework takes COCO's
    differences: tuple[Difference, ...] = ()
