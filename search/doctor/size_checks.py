"""Checks of whether there is enough data for what is asked of it: to train from nothing, and to tell trials apart.

Where the bounds come from: docs/benchmarks.md, `python -m benchmarks.small_sets`.
"""

from collections.abc import Iterator

from detector.config import FETCHED, FETCHED_BACKBONES, BackboneName, NamedWeights
from search.doctor.diagnostic import Diagnostic, Level
from search.study.specification import Specification

FEWEST_FROM_SCRATCH = 80  # training images
FEWEST_VALIDATION = 24  # images
FEWEST_UPDATES = 20  # from scratch, before the first rung, in the smallest batches


def check_sizes(specification: Specification, *, training_images: int, validation_images: int) -> Iterator[Diagnostic]:
    """Training from scratch on too few images, AP on too few, and a first rung before anything is learnt."""
    evaluated = min(validation_images, specification.budget.validation_images or validation_images)
    if evaluated < FEWEST_VALIDATION:
        yield Diagnostic(
            name="few-validation-images",
            level=Level.WARNING,
            message=f"AP is measured on {evaluated} images; below {FEWEST_VALIDATION} its error is 0.03 and more, and "
            "chance ranks trials, too",
            advice="validate on more images (data.validation_share, budget.validation_images)",
        )
    if specification.detector.weights == NamedWeights.NONE:
        yield from _too_few(training_images, specification.detector.backbone)
        yield from _early_rung(specification)


def _too_few(training_images: int, backbone: BackboneName) -> Iterator[Diagnostic]:
    named = " or ".join((*FETCHED, "to ")) if backbone in FETCHED_BACKBONES else ""
    if training_images < FEWEST_FROM_SCRATCH:
        yield Diagnostic(
            name="few-images-for-scratch",
            level=Level.WARNING,
            message=f"detector.weights is none, and all that the backbone learns comes from {training_images} images; "
            f"with fewer than {FEWEST_FROM_SCRATCH} a tenth of the AP was lost even on drawn shapes",
            advice=f"set detector.weights to {named}a file of weights, or annotate more images",
        )


def _early_rung(specification: Specification) -> Iterator[Diagnostic]:
    first = specification.rungs[0]
    smallest = min(specification.space.batch_sizes())
    if first < (needed := FEWEST_UPDATES * smallest):
        yield Diagnostic(
            name="rungs-too-early",
            level=Level.WARNING,
            message=f"the first rung is at {first} images, {first // smallest} updates in batches of {smallest}; from "
            "random weights nothing has been learnt by then that could be compared",
            advice=f"let budget.rungs begin at {needed} images or later, or raise budget.images",
        )
