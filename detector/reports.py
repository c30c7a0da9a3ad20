"""What a trainer says of its trial; plain values that need no Keras."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReport:
    """Losses and health figures at one optimizer step (see `health`)."""

    step: int
    images: int
    figures: dict[str, float]
    images_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RungReport:
    """COCO metrics on the validation images after so many training images."""

    step: int
    images: int
    ap: float
    metrics: dict[str, float]
    training_s: float
    evaluation_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedReport:
    """A valid checkpoint was written after so many images."""

    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The watch ended the trial."""

    kind: str
    cause: str
    message: str
    step: int
    images: int
    evidence: dict[str, float | str] = field(default_factory=dict)
