"""The line protocol between a worker and its trainer: one JSON object a line, `type` names the message.

    worker                                    trainer
      Setup   ────────────────────────────▶   loads data, builds, (compiles)
              ◀────────────────────────────   Preparing (while data is decoded, weights calibrated, …)
              ◀────────────────────────────   Ready
      Start   ────────────────────────────▶   resets weights, or restores the trial's checkpoint
              ◀────────────────────────────   Started(images already trained)
      Advance(to_images) ─────────────────▶   trains
              ◀────────────────────────────   ProgressReport (at the latest every MOST_STEPS_UNSAID steps)
              ◀────────────────────────────   Preparing (while it evaluates: a sign of life)
              ◀────────────────────────────   RungReport (trained that far, checkpointed, evaluated)
                                     or       Verdict (diverged, not learning, out of memory, …)
      Pause   ────────────────────────────▶   (at any time while training) checkpoints between two steps
              ◀────────────────────────────   PausedReport(images)
      Advance again, Start the next trial, or close the pipe: the trainer leaves.

The trainer owns its standard output; whatever libraries print goes to standard error, which the worker keeps
in a file. A trainer that dies without a `Verdict` is classified by its exit status and the end of that file.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter

from detector.config import Hyperparameters
from detector.json_text import read_json
from detector.setup import Setup
from search.trainer.exits import TrainerLost
from trial.counts import check_counts
from trial.reports import PausedReport, ProgressReport, RungReport
from trial.verdict import Verdict

MOST_STEPS_UNSAID = 10  # of optimizer steps; who says nothing for many times as long makes none


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Begin a trial; with a valid checkpoint in `directory`, go on from there."""

    trial: int
    hyperparameters: Hyperparameters
    seed: int
    budget_images: int  # the whole schedule; rungs lie on the way
    directory: Path
    keep_weights: bool = False  # leave weights.safetensors in the directory at the end of the budget
    early_parts: bool = False  # before the end of the budget, evaluate on no more than so much training is worth


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Train until this many images were seen (rounded up to a whole optimizer step), then checkpoint and evaluate."""

    to_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Checkpoint between two steps and wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """Setup or evaluation go on: so many of `total` units of a stage are done. A sign of life, something to show."""

    stage: str
    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.stage}, {self.done} of {self.total}" if self.total > 1 else self.stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The trainer can take trials."""

    backend: str
    device: str
    versions: dict[str, str]
    setup_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The trial begins, or goes on, after this many images."""

    images: int

    def __post_init__(self) -> None:
        check_counts(images=self.images)


Command = Setup | Start | Advance | Pause
Event = (
    Preparing | Ready | Started | ProgressReport | RungReport | PausedReport | Verdict
)  # the trial is over before its budget
Message = Command | Event

_ADAPTERS: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in get_args(Message)}


class ProtocolError(TrainerLost):
    """A line that is not a message."""


def encode(message: Message) -> str:
    """One line, without its newline."""
    name = type(message).__name__
    return json.dumps({"type": name, **_ADAPTERS[name].dump_python(message, mode="json")})


def decode(line: str) -> Message:
    """The message on one line.

    Raises:
        ProtocolError: it is not JSON, or not one of the messages above, with values that they can have.
    """
    try:
        fields = read_json(line)
        return _ADAPTERS[fields.pop("type")].validate_python(fields)
    except Exception as error:  # the rules of our own values too: none of them was made for a stranger's
        raise ProtocolError(f"not a message of this protocol: {line[:200]!r}") from error
