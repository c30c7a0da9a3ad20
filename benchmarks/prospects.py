"""What the model promises of ten more trials, and what then comes: on the closed form of the analytic trainer.

    python -m benchmarks.prospects [--seeds 6] [--noise 0.03]

Trials are proposed by the model. Each is read after a third of its training, four in ten in full as well.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.parts.machine import Machine
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console
from search.policy.model.choice import Evidence, chosen
from search.policy.model.cube import Cube
from search.policy.model.fitting import Fits
from search.policy.model.prospect import prospect
from search.trainer.analytic import ceiling, explosion_step
from spaces.faster_rcnn import Space

SCRIPT = "benchmarks.prospects"
SPACE = Space.default()
CUBE = Cube.of(SPACE)
LOOKED_AT = (8, 12, 20, 30, 40)  # trials
FURTHER = 10
STARTUP_TRIALS = 5
EARLY, FULL, IN_FULL = 0.33, 0.9, 0.4  # share of the ceiling at either rung; of trials that go on
STEPS = 60  # of a trial: one whose losses explode within them is not read

Array = NDArray[np.float64]


class Search:
    """A search on the closed form."""

    def __init__(self, seed: int, noise: float) -> None:
        self.finals: list[float] = []
        self._random = np.random.default_rng(seed)
        self._noise = noise
        self._fits = Fits()
        self._read: list[Array] = []
        self._readings: list[tuple[float, float]] = []
        self._failed: list[Array] = []

    @property
    def evidence(self) -> Evidence:
        """What was read so far."""
        sides = len(CUBE.sides)
        return Evidence(
            read=np.array(self._read).reshape(-1, sides),
            readings=np.array(self._readings).reshape(-1, 2),
            errors=np.full((len(self._readings), 2), self._noise),
            failed=np.array(self._failed).reshape(-1, sides),
            pending=np.zeros((0, sides)),
        )

    def step(self) -> None:
        """One trial more."""
        shares = self._proposed(self._random)
        hyperparameters = SPACE.configuration(CUBE.point(shares))
        explodes = explosion_step(hyperparameters)
        if explodes is not None and explodes < STEPS:
            self._failed.append(shares)
            return
        best = ceiling(hyperparameters)
        early, late = self._noise * self._random.standard_normal(2)
        goes_on = self._random.random() < IN_FULL
        self._read.append(shares)
        self._readings.append((EARLY * best + early, FULL * best + late if goes_on else np.nan))
        self.finals.append(FULL * best)

    def _proposed(self, generator: Generator) -> Array:
        if len(self._read) < STARTUP_TRIALS:
            return generator.random(len(CUBE.sides))
        return chosen(CUBE, self.evidence, generator, self._fits)


def promises(seed: int, noise: float) -> Iterator[tuple[int, float, float]]:
    """After how many trials, what was promised of ten more, and what came of them."""
    search, promised = Search(seed, noise), dict[int, float]()
    while len(search.finals) < max(LOOKED_AT) + FURTHER:
        search.step()
        count = len(search.finals)
        if count in LOOKED_AT and count not in promised:
            found = prospect(CUBE, search.evidence, trials=FURTHER, generator=np.random.default_rng(seed))
            promised[count] = found.gain if found else np.nan
    for count, gain in promised.items():
        yield count, gain, max(search.finals[: count + FURTHER]) - max(search.finals[:count])


def main(
    seeds: Annotated[int, typer.Option(min=1)] = 6,
    noise: Annotated[list[float], typer.Option(help="Standard error of each reading.")] = [0.0, 0.03],  # noqa: B006
    document: Annotated[Path, typer.Option(help="Where the table goes.")] = DOCUMENT,
) -> None:
    """Compare both, and put the table into the document."""
    rows: dict[tuple[float, int], list[tuple[float, float]]] = defaultdict(list)
    for error in noise:
        for seed in range(seeds):
            for count, gain, came in promises(seed, error):
                rows[error, count].append((gain, came))
    table = Table(
        caption=f"AP that {FURTHER} more trials add, mean of {seeds} seeds",
        columns=("standard error of a reading", "after trials", "promised", "came"),
        rows=tuple((*key, *map(float, np.mean(pairs, axis=0))) for key, pairs in rows.items()),
    )
    section = Section(script=SCRIPT.removeprefix("benchmarks."), title="What more trials promise", tables=(table,))
    publish(
        section,
        Machine.here(backend="analytic", device="CPU", script=SCRIPT, libraries=("numpy", "scipy")),
        document,
        wide_console(),
    )


if __name__ == "__main__":
    typer.run(main)
