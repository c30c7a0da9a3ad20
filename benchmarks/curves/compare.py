"""This project's search beside others on the detector's own recorded curves; see `benchmarks.curves.record`.

    python -m benchmarks.curves.compare [--seeds 20] [--workers 1] [--trainings 12]

The search is the product's: queue, storage and workers are the real ones, only the trainer replays. Time is what the
recorded trainings and evaluations took. At each moment a search is judged by what it would export, by the mean AP in
full of that configuration: regret 0 is the best configuration of the table, 1 the median one.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import optuna
import typer
from numpy.typing import NDArray

from benchmarks.curves import baselines, product
from benchmarks.curves.curve import RECORDED, read_curves
from benchmarks.curves.datasets import DATASETS
from benchmarks.curves.table import CurveTable
from benchmarks.curves.track import Track
from benchmarks.parts.machine import Machine
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console
from search.study.budget import Budget
from search.study.canvas import parse_canvas
from search.study.data_section import Data, Split
from search.study.detector_section import DetectorSection
from search.study.policy_section import Sampler
from search.study.specification import Specification
from spaces.faster_rcnn import Space

SCRIPT = "benchmarks.curves.compare"
OURS = "this project"
GRID = 200  # moments at which regret is looked at

Array = NDArray[np.float64]
Search = Callable[[CurveTable, int, int, float], Track]  # table, seed, workers, seconds


def ours(table: CurveTable, seed: int, workers: int, limit_s: float) -> Track:
    """A study with every default, but for its seed and as many trials as it likes."""
    specification = Specification(
        name="replayed",
        storage="sqlite:///never-opened.db",
        data=Data(train=Split(images=Path("images"), annotations=Path("train.json"))),  # nobody reads them
        detector=DetectorSection(canvas=parse_canvas("64x96"), micro_batch=4),
        derived=table.parameters(1),
        budget=Budget(images=baselines.NOMINAL[-1], trials=len(table.numbers)),
        sampler=Sampler(seed=seed),
    )
    return product.searched(specification, table, seed=seed, workers=workers, limit_s=limit_s)


def other(begin: Callable[[int], optuna.Study]) -> Search:
    """A search that begins a study of Optuna by a seed."""

    def search(table: CurveTable, seed: int, workers: int, limit_s: float) -> Track:
        study = begin(seed)
        return baselines.searched(study, Space.default(), table, seed=seed, workers=workers, limit_s=limit_s)

    return search


SEARCHES: dict[str, Search] = {OURS: ours, **{name: other(begin) for name, begin in baselines.BASELINES.items()}}


def regrets(search: Search, table: CurveTable, seeds: int, workers: int, limit_s: float) -> Array:
    """Mean regret [GRID] over seeds at moments that are evenly spread over the time."""
    moments = np.linspace(limit_s / GRID, limit_s, GRID)
    tracks = [search(table, seed, workers, limit_s) for seed in range(seeds)]
    return np.mean([[table.regret(track.at(moment)) for moment in moments] for track in tracks], axis=0)


def saved(mine: Array, theirs: Array) -> float:
    """How many times as long the other takes for what it ends with; below 1 where it is ahead."""
    reached = np.flatnonzero(mine <= theirs[-1])
    if len(reached):
        return GRID / (reached[0] + 1)
    return (int(np.flatnonzero(theirs <= mine[-1])[0]) + 1) / GRID


def random_trainings(table: CurveTable, regret: float) -> int:
    """How many full trainings at random come to that regret."""
    counts = range(1, len(table.numbers) + 1)
    return next((count for count in counts if table.random_regret(count) <= regret), len(table.numbers))


def rows(name: str, table: CurveTable, seeds: int, workers: int, trainings: int) -> Iterator[tuple[str | float, ...]]:
    """One for each search on that dataset."""
    limit_s = trainings * table.training_s / workers
    found = {search: regrets(run, table, seeds, workers, limit_s) for search, run in SEARCHES.items()}
    for search, own in found.items():
        early, late = own[GRID // 3], own[-1]
        yield name, search, early, late, saved(found[OURS], own), random_trainings(table, late)


def main(
    seeds: Annotated[int, typer.Option(min=1)] = 20,
    workers: Annotated[int, typer.Option(min=1)] = 1,
    trainings: Annotated[int, typer.Option(min=1, help="Budget of a search, in full trainings.")] = 12,
    recorded: Annotated[Path, typer.Option(help="Where the curves are.")] = RECORDED,
    document: Annotated[Path, typer.Option(help="Where the table goes.")] = DOCUMENT,
) -> None:
    """Replay every search on every dataset that was recorded."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    curves = list(read_curves(recorded))
    found: list[Sequence[str | float]] = []
    for name in DATASETS:
        if own := [curve for curve in curves if curve.dataset == name]:
            found += rows(name, CurveTable(own, Space.default()), seeds, workers, trainings)
    table = Table(
        caption=f"Regret of what would be exported: {seeds} seeds, {workers} workers, {trainings} full trainings",
        columns=(
            *("data", "search", "regret after a third", "at the end"),
            *("times as long as this project", "random trainings that come as far"),
        ),
        rows=tuple(map(tuple, found)),
    )
    section = Section(script=SCRIPT.removeprefix("benchmarks."), title="Searches on recorded curves", tables=(table,))
    publish(
        section,
        Machine.here(backend="replayed", device="CPU", script=SCRIPT, libraries=("numpy", "scipy", "optuna")),
        document,
        wide_console(),
    )


if __name__ == "__main__":
    typer.run(main)
