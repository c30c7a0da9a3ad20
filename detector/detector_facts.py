"""What stands beside a detector's weights, so that they can be used without anything else."""

from dataclasses import dataclass

from detector.config import Hyperparameters, StepShape

WEIGHTS_FILE = "weights.safetensors"  # as a trainer leaves it


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorFacts:
    """What a file of weights says of its detector."""

    shape: StepShape
    hyperparameters: Hyperparameters
    classes: tuple[str, ...]  # by label
