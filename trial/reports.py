"""What a trainer says of its trial; plain values, so that another process or a database can be given them."""

import math
from dataclasses import dataclass

from trial.counts import check_counts

AP_ERROR = "ap_error"  # among the metrics: the standard error of AP
WARNING = "warning: "  # prefix of a figure that is the step of a warning; the rest is the rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A rule of the watch that does not end a trial has fired for the first time in it."""

    rule: str
    step: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryPoint:
    """Losses and health figures at one optimizer step (`detector.watch.health`)."""

    step: int
    images: int
    figures: dict[str, float]

    def __post_init__(self) -> None:
        check_counts(step=self.step, images=self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReport(TelemetryPoint):
    """The newest of a running trial, and the warnings so far."""

    images_per_s: float
    warnings: tuple[Warned, ...] = ()

    @property
    def point(self) -> TelemetryPoint:
        """The figures, and the step of every warning so far, so that none is lost with the process that heard of it."""
        warnings = {f"{WARNING}{warned.rule}": warned.step for warned in self.warnings}
        return TelemetryPoint(step=self.step, images=self.images, figures={**self.figures, **warnings})


@dataclass(frozen=True, slots=True, kw_only=True)
class RungReport:
    """COCO metrics on the validation images after so many training images; `ap` is what a study maximises."""

    step: int
    images: int
    ap: float  # at IoU .50:.95, in [0, 1]; NaN where no box could be found
    metrics: dict[str, float]
    training_s: float  # since the last rung
    evaluation_s: float

    def __post_init__(self) -> None:
        check_counts(step=self.step, images=self.images)
        if not (math.isnan(self.ap) or 0 <= self.ap <= 1):
            raise ValueError(f"ap must lie in [0, 1], but is {self.ap}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedReport:
    """A valid checkpoint of the trial lies in its directory, written after so many images."""

    images: int

    def __post_init__(self) -> None:
        check_counts(images=self.images)
