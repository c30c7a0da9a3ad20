"""Checks of the study's own numbers: what it would search in vain, whatever the data."""

from collections.abc import Iterator

from search.doctor.diagnostic import Diagnostic, Level
from search.study.budget import automatic_images
from search.study.specification import Specification
from spaces.catalogue import DEFINITIONS
from spaces.faster_rcnn import Space
from spaces.parameters import nearest

MOSTLY_DIVERGES, DIVERGES = 4.0, 16.0  # times Detectron2's learning rate at the same batch size (F4)
LR = "lr_per_16"


def check_space(specification: Specification, *, training_images: int) -> Iterator[Diagnostic]:
    """Learning rates that diverge, batches larger than the data, budgets below an epoch."""
    yield from _learning_rates(specification.space)
    largest = max(specification.space.batch_sizes())
    if largest > training_images:
        yield Diagnostic(
            name="batch-above-data",
            level=Level.WARNING,
            message=f"a batch of {largest} shows some of the {training_images} training images twice in one update",
            advice=f"leave batch sizes above {training_images} out of space.batch_size",
        )
    images = specification.budget.images or automatic_images(training_images)
    if images < training_images:
        yield Diagnostic(
            name="budget-below-an-epoch",
            level=Level.WARNING,
            message=f"a full trial sees {images} images, but there are {training_images} to train on",
            advice=f"set budget.images to {training_images} or more, or to auto",
        )


def _learning_rates(space: Space) -> Iterator[Diagnostic]:
    """Detectron2's is scaled linearly with the batch, and so is the space's: the factor holds for every batch size."""
    if LR not in space.parameters or not space.parameters["optimizer"].contains("sgd"):
        return
    reference = float(DEFINITIONS[LR].reference)
    low, high = (float(nearest(space.parameters[LR], limit)) for limit in DEFINITIONS[LR].limits)
    if low > DIVERGES * reference:
        yield Diagnostic(
            name="learning-rate-hopeless",
            level=Level.ERROR,
            message=f"every learning rate of the space ({LR} from {low:g}) is above {DIVERGES:g} × Detectron2's",
            advice=f"lower space.{LR}: {reference:g} is the reference at batch size 16, and is scaled to others",
        )
    elif high > DIVERGES * reference or low > MOSTLY_DIVERGES * reference:
        yield Diagnostic(
            name="learning-rate-high",
            level=Level.WARNING,
            message=f"{LR} reaches from {low:g} to {high:g}; above {DIVERGES * reference:g} training diverges, "
            f"above {MOSTLY_DIVERGES * reference:g} it often does",
            advice=f"lower space.{LR}, or accept that many trials end within steps",
        )
