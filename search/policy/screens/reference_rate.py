"""How far a learning rate is from Detectron2's at the same batch size, and what is known of such rates."""

import math

from detector.config import Optimizer
from detector.weight_files.starting_point import StartingPoint
from spaces.catalogue import DEFINITIONS, RATES
from spaces.fine_tuning import FINE_TUNING_RATES

BELOW = 100.0  # a short trial at a hundredth of Detectron2's rate hardly moves
SAFE_FROM_SCRATCH = 1.0  # × Detectron2's: without weights, 0.03 diverged within steps and 0.01 did unclipped
MOSTLY_DIVERGES, DIVERGES = 4.0, 16.0  # × Detectron2's (F4)
ADAM_AROUND = 10.0  # × the reference: of Adam no bound is known


def reference_rate(optimizer: Optimizer) -> float:
    """Detectron2's rate at 16 images, as the space writes it; Adam's follows from the space's own reference."""
    return float(DEFINITIONS[RATES[optimizer]].reference)


def lowest_rate(optimizer: Optimizer, *, start: StartingPoint) -> float:
    """The lowest rate per 16 images that is ever proposed to a person."""
    if start.fine_tunes:
        return FINE_TUNING_RATES[optimizer].low
    return reference_rate(optimizer) / (BELOW if optimizer is Optimizer.SGD else ADAM_AROUND)


def highest_rate(optimizer: Optimizer, *, start: StartingPoint, smallest_batch: int) -> float:
    """The highest rate per 16 images that is ever proposed to a person.

    Of a whole detector it is the end of the range for fine-tuning. Else SGD's follows the batch linearly, as the
    space's own scale does: up to 4 × Detectron2's, from scratch that itself. Adam's follows the square root of the
    batch, so that on the linear scale smaller batches need a higher end.
    """
    if start.fine_tunes:
        return FINE_TUNING_RATES[optimizer].high
    reference = reference_rate(optimizer)
    if optimizer is Optimizer.SGD:
        return reference * (SAFE_FROM_SCRATCH if start.from_scratch else MOSTLY_DIVERGES)
    return reference * ADAM_AROUND * math.sqrt(16 / min(16, smallest_batch))


def mostly_diverges(optimizer: Optimizer, lr_per_16: float) -> bool:
    """Whether the rate is so high that it is to blame, whatever else helped it on."""
    return lr_per_16 > MOSTLY_DIVERGES * reference_rate(optimizer)
