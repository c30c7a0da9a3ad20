"""How far a learning rate is from Detectron2's at the same batch size, and what is known of such rates."""

from detector.config import Optimizer
from spaces.catalogue import DEFINITIONS, RATES

BELOW = 100.0  # a short trial at a hundredth of Detectron2's rate hardly moves
SAFE_FROM_SCRATCH = 1.0  # × Detectron2's: without weights, 0.03 diverged within steps and 0.01 did unclipped
MOSTLY_DIVERGES, DIVERGES = 4.0, 16.0  # × Detectron2's (F4)


def reference_rate(optimizer: Optimizer) -> float:
    """Detectron2's rate at 16 images, as the space writes it; Adam's follows from the space's own reference."""
    return float(DEFINITIONS[RATES[optimizer]].reference)


def mostly_diverges(optimizer: Optimizer, lr_per_16: float) -> bool:
    """Whether the rate is so high that it is to blame, whatever else helped it on."""
    return lr_per_16 > MOSTLY_DIVERGES * reference_rate(optimizer)
