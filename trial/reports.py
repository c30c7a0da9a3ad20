"""What a trainer says of its trial; plain values that need no Keras, so that another process can be sent them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A rule of the watch that does not end a trial has fired for the first time in it."""

    rule: str
    step: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReport:
    """Losses and health figures at one optimizer step (see `health`), and the warnings so far."""

    step: int
    images: int
    figures: dict[str, float]
    images_per_s: float
    warnings: tuple[Warned, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RungReport:
    """COCO metrics on the validation images after so many training images; `ap` is what a study maximises."""

    step: int
    images: int
    ap: float  # at IoU .50:.95, in [0, 1]
    metrics: dict[str, float]
    training_s: float  # since the last rung
    evaluation_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedReport:
    """A valid checkpoint of the trial lies in its directory, written after so many images."""

    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The watch ended the trial. `study_wide` says that every other would end like it."""

    kind: str
    cause: str
    message: str
    step: int
    images: int
    evidence: dict[str, float | str] = field(default_factory=dict)
    study_wide: bool = False
