"""A reader to be fuzzed, and what the valid inputs of several are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from detector.config import Canvas, ConfigError, Detector
from storage.connection.errors import StorageError
from trial.outcome import Outcome
from trial.reports import RungReport
from trial.verdict import Verdict

DETECTOR = Detector(canvas=Canvas(height_px=96, width_px=128))

USER_MUST_ACT = (ConfigError, StorageError)  # what search/exit_codes.py answers with 2

RUNG = RungReport(step=10, images=160, ap=0.25, metrics={"ap": 0.25, "ap/cat": 0.1}, training_s=1.0, evaluation_s=0.5)

VERDICT = Verdict(
    outcome=Outcome.DIVERGED, cause="loss", message="é", step=3, images=48, evidence={"loss": 1e9, "x": "y"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One reader: `read` gets the bytes and a folder of its own, which holds what `seeds` has put there."""

    name: str
    seeds: Callable[[Path], list[bytes]]
    read: Callable[[bytes, Path], object]
    refusals: tuple[type[Exception], ...] = USER_MUST_ACT
    share: float = 1.0  # of the inputs, beside the others'


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
