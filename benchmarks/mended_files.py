"""Failing files of other frameworks, and what `export --onto` gives back: does that train where theirs did not?

    python -m benchmarks.mended_files [--images 400] [--seeds 3] [--only NAME …] [--work FOLDER]

The thirteen files in tests/search/imports/failing, each after a public report, as trial 0 on the sample data, by the
real trainer from scratch, one executable for all. What trial 0 does with seed 0 decides how its file is mended, as if
it stood alone in a study; both are then trained with the same seeds. A training that stands in the work folder is not
repeated, equal ones are trained once, and seed 0 of all files comes first: an interrupted run goes on where it was,
and each seed that is done for all files gives a table.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.parts.finished import Finished, Training
from benchmarks.parts.machine import Machine
from benchmarks.parts.mended_file import FAILING, Bench, file_given_back
from benchmarks.parts.mended_table import Case, ends, table_of
from benchmarks.parts.table import DOCUMENT, Section, publish, wide_console
from detector.config import Hyperparameters
from detector.data.sample_data import write_sample
from detector.training.trainer import Trainer
from search.plan import Plan
from search.study.canvas import parse_canvas
from trial.outcome import Outcome
from trial.reports import RungReport
from trial.verdict import Verdict

SCRIPT = "benchmarks.mended_files"
UNTRAINED = "untrained"
Train = Callable[[Hyperparameters, int], Training]


def run_seed(case: Case, seed: int, bench: Bench, train: Train, mended: Path) -> None:
    """Train both files with that seed; the first time, have the file given back after what theirs did."""
    theirs = train(case.theirs.zero.hyperparameters, seed)
    if case.back is None:
        case.back = file_given_back(bench, case.file, case.theirs, theirs.verdict, mended / case.file.name)
    case.pairs.append((theirs, train(case.back.hyperparameters, seed)))


class RealTrainer:
    """One warm trainer for all files."""

    def __init__(self, bench: Bench, cases: Sequence[Case], work: Path) -> None:
        specifications = [bench.specification(case.theirs) for case in cases]
        setup = Plan.of(specifications[0], work).setup
        most = max(each.anchors_per_cell for each in specifications)
        self._trainer = Trainer(replace(setup, anchors_per_cell=most))
        self._bench, self._folder = bench, work / "trial"
        self.backend, self.device = self._trainer.backend, self._trainer.device

    def __call__(self, hyperparameters: Hyperparameters, seed: int) -> Training:
        """Train the whole budget, or until the watch ends it."""
        images = self._begin(hyperparameters, seed)
        losses: list[float] = []
        report = self._trainer.advance(images, lambda seen: losses.append(seen.figures["loss"]), lambda: False)
        if isinstance(report, RungReport):
            verdict = Verdict(outcome=Outcome.COMPLETE, step=report.step, images=report.images)
            return Training(verdict=verdict, ap=report.ap, ap50=report.metrics["ap50"], losses=tuple(losses))
        assert isinstance(report, Verdict)
        return Training(verdict=report, losses=tuple(losses))

    def untrained(self, hyperparameters: Hyperparameters, seed: int) -> Training:
        """Evaluate before any training."""
        self._begin(hyperparameters, seed)
        metrics = self._trainer.evaluate()
        return Training(verdict=Verdict(outcome=Outcome.COMPLETE), ap=metrics["ap"], ap50=metrics["ap50"])

    def _begin(self, hyperparameters: Hyperparameters, seed: int) -> int:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._trainer.begin(hyperparameters, seed=seed, budget_images=self._bench.images, directory=self._folder)
        return self._bench.images


def main(
    images: Annotated[int, typer.Option(min=1, help="Budget of each training, in images seen.")] = 400,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    only: Annotated[list[str] | None, typer.Option(help="Names of files; all of them by default.")] = None,
    canvas: Annotated[str, typer.Option()] = "64x96",
    work: Annotated[Path, typer.Option(help="Finished trainings and mended files are kept here.")] = Path(
        "mended-files"
    ),
    document: Annotated[Path, typer.Option(help="Where the table goes.")] = DOCUMENT,
) -> None:
    """Train every file as it is and as it is given back, and put the table into the document."""
    console = wide_console()
    write_sample(work / "data", seed=0)
    bench = Bench(data=work / "data", canvas=parse_canvas(canvas), images=images)
    files = sorted(file for file in FAILING.iterdir() if file.is_file() and (not only or file.name in only))
    if not files:
        raise typer.BadParameter(f"--only must name files of {FAILING.name}, such as eight_gpus.yaml")
    cases = [Case(file=file, theirs=bench.imported(file)) for file in files]
    trainer = RealTrainer(bench, cases, work)
    finished = Finished(file=work / "finished.jsonl", conditions=f"{images} images, canvas {canvas}")
    untrained = Finished(file=work / "finished.jsonl", conditions=f"{UNTRAINED}, canvas {canvas}")
    before = []
    for seed in range(seeds):
        start = cases[0].theirs.zero.hyperparameters
        before.append(untrained.training(start, seed, lambda: trainer.untrained(start, seed)).ap or 0.0)  # noqa: B023
        for case in cases:
            run_seed(case, seed, bench, kept(finished, trainer, console), work / "mended")
            console.print(f"seed {seed}: {case.file.name}: {ends(case.pairs[-1])}", highlight=False)
        machine = Machine.here(backend=trainer.backend, device=trainer.device, script=SCRIPT)
        publish(section_of(cases, bench, mean(before)), machine, document, console)  # of so many seeds, if it ends here


def section_of(cases: Sequence[Case], bench: Bench, untrained_ap: float) -> Section:
    """The table as a section of the document."""
    table, notes = table_of(cases, bench, untrained_ap)
    return Section(script=SCRIPT.removeprefix("benchmarks."), title="Mended files", tables=(table,), notes=notes)


def kept(finished: Finished, trainer: Train, console: Console) -> Train:
    """The trainer, but what is finished is not repeated."""

    def train(hyperparameters: Hyperparameters, seed: int) -> Training:
        def run() -> Training:
            with console.status(f"training with seed {seed}"):
                return trainer(hyperparameters, seed)

        return finished.training(hyperparameters, seed, run)

    return train


if __name__ == "__main__":
    typer.run(main)
