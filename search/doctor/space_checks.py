"""Checks of the study's own numbers: what it would search in vain, whatever the data."""

from collections.abc import Iterator

from detector.config import Optimizer
from search.doctor.diagnostic import Diagnostic, Level
from search.policy.screens.reference_rate import BELOW, DIVERGES, MOSTLY_DIVERGES, reference_rate
from search.study.policy_section import SamplerName
from search.study.specification import Specification
from spaces.catalogue import DEFINITIONS, RATES
from spaces.faster_rcnn import Space
from spaces.parameters import nearest

FIRST_POINTS = 2  # the reference, and what the data suggests; more are proposed


def check_space(specification: Specification, *, training_images: int) -> Iterator[Diagnostic]:
    """Learning rates that diverge or hardly move, batches larger than the data, budgets below an epoch, nothing but
    random proposals.
    """
    yield from _learning_rates(specification.space)
    yield from _random_only(specification)
    largest = max(specification.space.batch_sizes())
    if largest > training_images:
        yield Diagnostic(
            name="batch-above-data",
            level=Level.WARNING,
            message=f"a batch of {largest} shows some of the {training_images} training images twice in one update",
            advice=f"leave batch sizes above {training_images} out of space.batch_size",
        )
    images = specification.rungs[-1]
    if images < training_images:
        yield Diagnostic(
            name="budget-below-an-epoch",
            level=Level.WARNING,
            message=f"a full trial sees {images} images, but there are {training_images} to train on",
            advice=f"set budget.images to {training_images} or more, or to auto",
        )


def _random_only(specification: Specification) -> Iterator[Diagnostic]:
    trials, sampler = specification.trials, specification.sampler
    startup = sampler.startup(trials)
    if sampler.name is not SamplerName.RANDOM and trials <= startup and trials > FIRST_POINTS:
        yield Diagnostic(
            name="nothing-but-random",
            level=Level.WARNING,
            message=f"sampler.startup_trials is {startup}, and there are {trials} trials: none learns from another",
            advice=f"raise budget.trials above {startup}, or set sampler.startup_trials to auto",
        )


def _learning_rates(space: Space) -> Iterator[Diagnostic]:
    """Detectron2's is scaled linearly with the batch, and so is the space's: the factor holds for every batch size."""
    for optimizer, name in RATES.items():
        if name in space.parameters and space.parameters["optimizer"].contains(str(optimizer)):
            low, high = (float(nearest(space.parameters[name], limit)) for limit in DEFINITIONS[name].limits)
            yield from _too_low(optimizer, name, high)
            if optimizer is Optimizer.SGD:  # of Adam no bound above is known
                yield from _too_high(name, low, high)


def _too_low(optimizer: Optimizer, name: str, high: float) -> Iterator[Diagnostic]:
    reference = reference_rate(optimizer)
    if high <= reference / BELOW:
        yield Diagnostic(
            name="learning-rate-low",
            level=Level.WARNING,
            message=f"{name} is {high:g} at most; at {reference / BELOW:g} or below a short trial hardly moves",
            advice=f"raise space.{name}: {reference:g} is the reference at batch size 16, and is scaled to others",
        )


def _too_high(name: str, low: float, high: float) -> Iterator[Diagnostic]:
    reference = reference_rate(Optimizer.SGD)
    if low > DIVERGES * reference:
        yield Diagnostic(
            name="learning-rate-hopeless",
            level=Level.ERROR,
            message=f"every learning rate of the space ({name} from {low:g}) is above {DIVERGES:g} × Detectron2's",
            advice=f"lower space.{name}: {reference:g} is the reference at batch size 16, and is scaled to others",
        )
    elif high > DIVERGES * reference or low > MOSTLY_DIVERGES * reference:
        range_ = f"is {low:g}" if low == high else f"reaches from {low:g} to {high:g}"
        yield Diagnostic(
            name="learning-rate-high",
            level=Level.WARNING,
            message=f"{name} {range_}; above {DIVERGES * reference:g} training diverges, above "
            f"{MOSTLY_DIVERGES * reference:g} it often does",
            advice=f"begin space.{name} at {reference:g}, the reference at batch size 16, or below, and end it at "
            f"{DIVERGES * reference:g} at most; else many trials end within steps",
        )
