"""What a full training starts from in place of its configuration's `detector.weights`."""

from dataclasses import dataclass, replace
from pathlib import Path

from detector.config import WEIGHTS_CHOICES, Detector, NamedWeights, require
from detector.detector_facts import DetectorFacts
from detector.weight_files.download.model_zoo import coco_weights
from detector.weight_files.found_weights import AnchorLayout, FileKind, FoundWeights
from detector.weight_files.opening import open_weights
from search.export.configuration_file import Configuration
from search.export.weights_file import facts_of, is_whole_detector
from search.study.detector_section import KNOWN_WEIGHTS


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialWeights:
    """Where the first values come from; `whole`: those of pyramid and heads, too. `line` says so to a person."""

    detector: Detector
    whole: bool
    line: str


def initial_weights(configuration: Configuration, weights: str) -> InitialWeights:
    """The configuration's detector with other weights, of a name or of a file.

    A detector that `train` wrote is taken over as a whole where classes and anchors per cell are the configuration's,
    and keeps as many stages frozen as the search had. Of another detector all is taken that fits, and the stages are
    those that a study with these weights would freeze.

    Raises:
        ConfigError: there is no such file, or nothing in it is known.
    """
    if weights == NamedWeights.COCO:
        return _part_of(configuration, weights, coco_weights(configuration.detector.backbone))
    if weights in KNOWN_WEIGHTS:
        return _part_of(configuration, weights, None)
    path = Path(weights).absolute()
    require(
        path.is_file(),
        f"--weights must be {WEIGHTS_CHOICES}, but there is no file {weights!r}; `frcnn-search train` leaves "
        "weights.safetensors in its --output",
    )
    found = open_weights(path)
    if found.kind is not FileKind.OURS or not is_whole_detector(path):
        return _part_of(configuration, str(path), found)
    if difference := _difference(configuration, facts_of(path)):
        return _part_of(configuration, str(path), found, why=f", because {difference}")
    before = configuration.detector
    detector = replace(before, weights=str(path), frozen_stages=before.stages_to_freeze)
    return InitialWeights(
        detector=detector,
        whole=True,
        line=f"starts from the whole detector of {path}, heads included; {_frozen(detector)}",
    )


def anchor_slots(configuration: Configuration) -> int:
    """Anchors per cell that the RPN has room for: those of the trial, or as many as its study had."""
    return max(configuration.provenance.anchor_slots, configuration.hyperparameters.anchors.per_cell)


def _part_of(
    configuration: Configuration, weights: str, found: FoundWeights | None, *, why: str = ""
) -> InitialWeights:
    detector = replace(configuration.detector, weights=weights)
    if weights == "none":
        line = "starts from nothing but the seed; no weights are loaded"
    else:
        line = f"{_taken(configuration, weights, found)}{why}; {_frozen(detector)}"
    return InitialWeights(detector=detector, whole=False, line=line)


def _taken(configuration: Configuration, weights: str, found: FoundWeights | None) -> str:
    if found is None or not found.has_heads:
        remark = f" ({found.remark})" if found and found.remark else ""
        return f"starts from the backbone of {weights}{remark}; pyramid and heads are drawn by the seed"
    known = [name for name in configuration.classes if name in (found.classes or ())]
    drawn = [name for name in configuration.classes if name not in known]
    anchors = configuration.hyperparameters.anchors
    own = AnchorLayout(sizes=len(anchors.sizes_px[0]), ratios=len(anchors.ratios))
    parts = [f"rows of the classes {', '.join(drawn)}"] if drawn else []
    parts += ["rows of the anchors"] if own != found.anchors else []
    but = f"; {' and '.join(parts)} are drawn by the seed" if parts else ""
    return f"starts from the detector of {weights} ({found.kind}), pyramid and heads included{but}"


def _frozen(detector: Detector) -> str:
    stages = detector.stages_to_freeze
    return f"{stages} of 5 stages of the backbone are frozen" if stages else "no stage of the backbone is frozen"


def _difference(configuration: Configuration, facts: DetectorFacts) -> str:
    """Why the detector's heads do not fit the configuration; empty where they do."""
    if facts.classes != configuration.classes:
        return f"its classes are {', '.join(facts.classes)}, not {', '.join(configuration.classes)}"
    own, wanted = facts.hyperparameters.anchors.per_cell, configuration.hyperparameters.anchors.per_cell
    if own != wanted:
        return f"it has {own} anchors per cell, not {wanted}"
    slots, needed = facts.shape.anchors_per_cell, anchor_slots(configuration)
    return f"its RPN has room for {slots} anchors per cell, not {needed}" if slots != needed else ""
