"""What a trial, a worker's start and a look at a study cost as the study grows, on SQLite and PostgreSQL.

What a trainer would say is made up: this is all that is not training. Beside it stands Optuna by itself, with the same
sampler on the same study.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated

import optuna
import psutil  # type: ignore[import-untyped]
import typer

from benchmarks.parts.analytic_study import STUDY, WORKER, found
from benchmarks.parts.bare_worker import BareWorker, Took, timed
from benchmarks.parts.databases import Kind, new_database
from benchmarks.parts.growth import grow
from benchmarks.parts.machine import Machine
from benchmarks.parts.table import DOCUMENT, Cell, Section, Table, publish, wide_console
from search.faults import history
from search.launch.snapshot import read_snapshot
from search.plan import Plan
from search.report.status import read_status
from search.trainer.link import TrainerLink
from search.trainer.protocol import Ready
from storage.connection.address import STORAGE_VARIABLE
from storage.connection.database import Database
from storage.study import find_study

SCRIPT = "benchmarks.study_growth"
SIZES = (100, 1_000, 10_000)
FOUNDERS = 60  # trials that really run, and are copied
LOOKS = 3
MOST_TRIALS = 10**6
LIMIT_S = 300.0

Figures = dict[str, list[Took]]


class Growth:
    """One study in one database, measured at one size after another."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._plan = found(url, folder, trials=MOST_TRIALS)
        self._workers = 0
        with Database.open(url) as database:
            for _ in range(FOUNDERS):
                self._worker(database).run()

    def measure(self, size: int, trials: int) -> Figures:
        """Everything about a study of that size, each several times; the study has a few trials more afterwards."""
        with Database.open(self._url) as database:
            grow(database, STUDY, size)
            figures = self._trials(database, trials)
            looks: dict[str, Callable[[], Took]] = {
                "a worker's start, to its first trial": self._start,
                "a worker's process, to its first trial": self._process,
                "a trainer's start": self._trainer,
                "status": lambda: timed(lambda: read_status(find_study(database, STUDY)))[1],
                "what launch shows, each second": lambda: timed(lambda: self._snapshot(database))[1],
            }
            for name, look in looks.items():
                figures[name] = [look() for _ in range(LOOKS)]
        return figures | optuna_alone(self._url, self._plan, trials)

    def _worker(self, database: Database) -> BareWorker:
        self._workers += 1
        return BareWorker(database, self._plan, seed=self._workers)

    def _trials(self, database: Database, trials: int) -> Figures:
        worker = self._worker(database)
        worker.run()
        worker.took.clear()
        for _ in range(trials):
            worker.run()
        whole = [sum_of(parts) for parts in zip(*(took[:trials] for took in worker.took.values()), strict=True)]
        return {**{f"a trial: {name}": took for name, took in worker.took.items()}, "a trial, all of it": whole}

    def _start(self) -> Took:
        with Database.open(self._url) as database:
            worker = self._worker(database)
            _, took = timed(worker.begin)
            worker.finish()
        return took

    def _process(self) -> Took:
        """The time from the start of `frcnn-search worker`, modules included, until it has noted its claim."""
        with tempfile.TemporaryDirectory() as notes:
            environment = {**os.environ, STORAGE_VARIABLE: self._url, history.VARIABLE: notes}
            began_s = time.perf_counter()
            process = subprocess.Popen(
                [*WORKER, "--folder", str(self._plan.folder)], env=environment, stderr=subprocess.DEVNULL
            )
            while not any(Path(notes).iterdir()):
                if time.perf_counter() - began_s > LIMIT_S or process.poll() is not None:
                    raise RuntimeError(f"no trial was begun in {LIMIT_S:g} s; exit code {process.poll()}")
                time.sleep(0.01)
            wall_s = time.perf_counter() - began_s
            times = psutil.Process(process.pid).cpu_times()
            process.terminate()
            process.wait(LIMIT_S)
        with Database.open(self._url) as database:
            self._worker(database).run()  # brings its trial to an end
        return Took(wall_s=wall_s, cpu_s=times.user + times.system)

    def _trainer(self) -> Took:
        """The time from the start of a trainer's process until it can take trials."""

        def start() -> TrainerLink:
            link = TrainerLink("analytic", log=self._plan.log_file("trainer"))
            link.send(self._plan.setup)
            while not isinstance(event := link.poll(LIMIT_S), Ready):
                if event is None:
                    raise link.hung()
            return link

        link, took = timed(start)
        link.close()
        return took

    def _snapshot(self, database: Database) -> None:
        read_snapshot(find_study(database, STUDY), trials=MOST_TRIALS, since=datetime.now(UTC))


def sum_of(parts: tuple[Took, ...]) -> Took:
    """All parts of one trial together."""
    return Took(wall_s=sum(part.wall_s for part in parts), cpu_s=sum(part.cpu_s for part in parts))


def optuna_alone(url: str, plan: Plan, trials: int) -> Figures:
    """Optuna's own storage and study: what a worker's first and later trials would cost with nothing of ours."""
    plain = url.replace("postgresql://", "postgresql+psycopg://")

    def first() -> optuna.Study:
        study = optuna.load_study(study_name=STUDY, storage=plain, sampler=optuna.samplers.TPESampler(seed=0))
        run(study)
        return study

    def run(study: optuna.Study) -> None:
        trial = study.ask()
        plan.space.suggest(trial)
        for rung in plan.rungs:
            trial.report(0.1, rung)
        study.tell(trial, 0.1)

    study, took = timed(first)
    later = [timed(lambda: run(study))[1] for _ in range(trials)]
    study._storage.remove_session()
    return {"Optuna alone: the first trial": [took], "Optuna alone: a trial": later}


def table(kind: Kind, by_size: dict[int, Figures]) -> Table:
    """A row for each thing, two columns for each size: medians of the wall's clock and of the processor's time."""
    columns = ["seconds", *(f"{size:,} {what}" for size in by_size for what in ("trials", "(CPU)"))]
    rows: list[tuple[Cell, ...]] = []
    for name in next(iter(by_size.values())):
        row: list[Cell] = [name]
        for figures in by_size.values():
            row += [median(took.wall_s for took in figures[name]), median(took.cpu_s for took in figures[name])]
        rows.append(tuple(row))
    return Table(
        caption=f"Seconds in a study of so many finished trials, {kind}", columns=tuple(columns), rows=tuple(rows)
    )


def main(
    size: Annotated[list[int] | None, typer.Option(help="finished trials, ascending; give it again for more")] = None,
    database: Annotated[list[Kind] | None, typer.Option(help="give it again for both")] = None,
    trials: Annotated[int, typer.Option(min=3, help="trials timed at each size")] = 9,
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Measure everything but training, as a study grows."""
    console = wide_console()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tables = []
    for kind in database or list(Kind):
        with tempfile.TemporaryDirectory() as folder, new_database(kind, Path(folder)) as url:
            growth = Growth(url, Path(folder))
            by_size = {}
            for one in size or SIZES:
                with console.status(f"{kind}: {one:,} trials"):
                    by_size[one] = growth.measure(one, trials)
            tables.append(table(kind, by_size))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    section = Section(
        script=SCRIPT,
        title="What a study's size costs",
        tables=tuple(tables),
        notes=(
            f"Medians of {trials} trials and of {LOOKS} starts and looks, by the wall's clock and, in the columns "
            "marked CPU, of the processor's time of the measuring (or started) process without the server's.",
            f"Trials have 17 to 19 parameters, 3 rungs, 15 points of telemetry; TPE proposes. Load of the machine at "
            f"the end: {load}.",
        ),
    )
    libraries = ("optuna", "sqlalchemy", "psycopg")
    publish(
        section, Machine.here(backend="analytic", device="CPU", script=SCRIPT, libraries=libraries), output, console
    )


if __name__ == "__main__":
    typer.run(main)
