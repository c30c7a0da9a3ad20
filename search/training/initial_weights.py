"""What a full training starts from in place of its configuration's `detector.weights`."""

from dataclasses import dataclass, replace
from pathlib import Path

from detector.config import Detector, require
from detector.detector_facts import DetectorFacts
from search.export.configuration_file import Configuration
from search.export.weights_file import facts_of, is_whole_detector
from search.study.specification import KNOWN_WEIGHTS


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialWeights:
    """Where the first values come from; `whole`: those of pyramid and heads, too. `line` says so to a person."""

    detector: Detector
    whole: bool
    line: str


def initial_weights(configuration: Configuration, weights: str) -> InitialWeights:
    """The configuration's detector with other weights: `imagenet`, `none`, or a file.

    A detector that `train` wrote is taken over as a whole where classes and anchors per cell are the configuration's,
    and keeps as many stages frozen as the search had. Of anything else only the backbone is, and the stages are those
    that a study with these weights would freeze.

    Raises:
        ConfigError: there is no such file, or it is a damaged safetensors file.
    """
    if weights in KNOWN_WEIGHTS:
        return _backbone_of(configuration, weights, "")
    path = Path(weights).absolute()
    require(
        path.is_file(),
        f"--weights must be imagenet, none or a file, but there is no file {weights!r}; `frcnn-search train` leaves "
        "weights.safetensors in its --output",
    )
    if path.suffix != ".safetensors" or not is_whole_detector(path):
        return _backbone_of(configuration, str(path), "")
    if difference := _difference(configuration, facts_of(path)):
        return _backbone_of(configuration, str(path), f", because {difference}")
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


def _backbone_of(configuration: Configuration, weights: str, why: str) -> InitialWeights:
    detector = replace(configuration.detector, weights=weights)
    return InitialWeights(
        detector=detector,
        whole=False,
        line=f"starts from the backbone of {weights}; pyramid and heads are drawn by the seed{why}; {_frozen(detector)}"
        if weights != "none"
        else "starts from nothing but the seed; no weights are loaded",
    )


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
