"""One recorded training: what was tried on which data, and what was read of it as it went."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from spaces.parameters import Value

RECORDED = Path(__file__).parent / "recorded"
DIGITS = 6
REPEATED = 8  # configurations with more than one seed


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveReading:
    """What one evaluation gave; `part` is of the fixed part of the images that a study takes at an early rung.

    Times are those that all processors worked.
    """

    images: int
    training_s: float  # since the last reading
    evaluation_s: float  # of all validation images
    part_s: float
    metrics: dict[str, float]
    part: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One training. One that a fault ended has the readings before it."""

    dataset: str
    configuration: int  # 0 is the reference, 1 the derived point
    seed: int
    parameters: dict[str, Value]
    outcome: str
    cause: str
    images: int  # seen in all
    readings: tuple[CurveReading, ...]

    @property
    def key(self) -> tuple[str, int, int]:
        """Which training this is."""
        return self.dataset, self.configuration, self.seed


def trainings(configurations: int, seeds: int) -> Iterator[tuple[int, int]]:
    """Which configuration with which seed, in the order in which they are recorded."""
    for seed in range(seeds):
        yield from ((number, seed) for number in range(REPEATED))
        if seed == 0:
            yield from ((number, 0) for number in range(REPEATED, configurations))


def append_curve(folder: Path, curve: Curve) -> None:
    """Add a line to the file of its dataset."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{curve.dataset}.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(_short(asdict(curve))) + "\n")


def read_curves(folder: Path = RECORDED) -> Iterator[Curve]:
    """Every recorded training, by dataset."""
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            document = json.loads(line)
            readings = tuple(CurveReading(**reading) for reading in document.pop("readings"))
            yield Curve(**document, readings=readings)


def _short(value: object) -> object:
    """With floats of six significant digits."""
    match value:
        case float():
            return float(f"{value:.{DIGITS}g}")
        case dict():
            return {key: _short(item) for key, item in value.items()}
        case list() | tuple():
            return [_short(item) for item in value]
    return value
