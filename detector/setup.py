"""What stays the same for every trial of a study: the data, the detector, and how much room a trial has in it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from detector.config import Detector
from detector.data_source import DataSource

Progress = Callable[[str, int, int], None]  # what goes on, and how much of it is done, of how much


def unheard(what: str, done: int, of: int) -> None:
    """The progress that nobody wants to hear of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a trainer is made for; it derives its compile key from it."""

    train: DataSource
    validation: DataSource | None  # None: split off the training data
    validation_share: float
    detector: Detector
    anchors_per_cell: int  # slots: the most that any point of the space asks for
    micro_batch: int
    measure_micro_batch: bool = False  # take the divisor of it that is fastest on the device and fits
    validation_images: int | None  # evaluate on at most so many; None: all
    cache: Path  # decoded images and calibrated weights, shared by all workers of a host
    seed: int  # of the initial backbone weights
    whole_weights: bool = False  # `detector.weights` is a file of a whole detector: trials start from its heads, too
    watch: bool = True  # end trials that diverge or do not learn
