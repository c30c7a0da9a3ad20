"""Failing files of other frameworks, and what `export --onto` gives back: does that train where theirs did not?

    python -m benchmarks.mended_files [--images 400] [--seeds 3] [--only NAME …] [--work FOLDER]

The thirteen files in tests/search/imports/failing, each after a public report, as trial 0 on the sample data, by the
real trainer. Such files begin from trained weights, and so does each training here: from a detector of another domain
(`benchmarks.parts.other_domain`), which is trained before, in the work folder. What trial 0 does with seed 0 decides
how its file is mended, as if it stood alone in a study; both are then trained with the same seeds. A training that
stands in the work folder is not repeated, equal ones are trained once, and seed 0 of all files comes first: an
interrupted run goes on where it was, and each seed that is done for all files gives a table.
"""

import math
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
from benchmarks.parts.other_domain import train_source, weights_in
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
MICRO_BATCH = 2
Train = Callable[[Hyperparameters, int], Training]


def run_seed(case: Case, seed: int, bench: Bench, train: Train, mended: Path) -> None:
    """Train both files with that seed; the first time, have the file given back after what theirs did."""
    theirs = train(case.theirs.zero.hyperparameters, seed)
    if case.back is None:
        case.back = file_given_back(bench, case.file, case.theirs, theirs.verdict, mended / case.file.name)
    case.pairs.append((theirs, train(case.back.hyperparameters, seed)))


class RealTrainer:
    """Warm trainers for all files: one for batches of one image, one for even batches."""

    def __init__(self, bench: Bench, cases: Sequence[Case], work: Path) -> None:
        self._bench, self._work, self._folder = bench, work, work / "trial"
        self._any = cases[0].theirs
        self._anchors_per_cell = max(bench.specification(case.theirs).anchors_per_cell for case in cases)
        self._trainers: dict[int, Trainer] = {}
        self.backend, self.device = self._of(MICRO_BATCH).backend, self._of(MICRO_BATCH).device

    def _of(self, batch_size: int) -> Trainer:
        micro_batch = math.gcd(batch_size, MICRO_BATCH)
        if micro_batch not in self._trainers:
            setup = Plan.of(self._bench.specification(self._any, micro_batch=micro_batch), self._work).setup
            self._trainers[micro_batch] = Trainer(replace(setup, anchors_per_cell=self._anchors_per_cell))
        return self._trainers[micro_batch]

    def __call__(self, hyperparameters: Hyperparameters, seed: int) -> Training:
        """Train the whole budget, or until the watch ends it."""
        trainer, losses = self._begun(hyperparameters, seed), list[float]()
        images = self._bench.images
        report = trainer.advance(images, lambda seen: losses.append(seen.figures["loss"]), lambda: False)
        if isinstance(report, RungReport):
            verdict = Verdict(outcome=Outcome.COMPLETE, step=report.step, images=report.images)
            return Training(verdict=verdict, ap=report.ap, ap50=report.metrics["ap50"], losses=tuple(losses))
        assert isinstance(report, Verdict)
        return Training(verdict=report, losses=tuple(losses))

    def untrained(self, hyperparameters: Hyperparameters, seed: int) -> Training:
        """Evaluate before any training."""
        metrics = self._begun(hyperparameters, seed).evaluate()
        return Training(verdict=Verdict(outcome=Outcome.COMPLETE), ap=metrics["ap"], ap50=metrics["ap50"])

    def _begun(self, hyperparameters: Hyperparameters, seed: int) -> Trainer:
        shutil.rmtree(self._folder, ignore_errors=True)
        trainer = self._of(hyperparameters.batch_size)
        trainer.begin(hyperparameters, seed=seed, budget_images=self._bench.images, directory=self._folder)
        return trainer


def main(
    images: Annotated[int, typer.Option(min=1, help="Budget of each training, in images seen.")] = 400,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    only: Annotated[list[str] | None, typer.Option(help="Names of files; all of them by default.")] = None,
    canvas: Annotated[str, typer.Option()] = "64x96",
    work: Annotated[Path, typer.Option(help="Finished trainings and mended files are kept here.")] = Path(
        "build/mended-files"
    ),
    weights: Annotated[
        str, typer.Option(help="What to begin from; none, or a file.", show_default="trained before")
    ] = "",
    source_images: Annotated[int, typer.Option(min=4, help="On which the detector is trained before.")] = 1440,
    document: Annotated[Path, typer.Option(help="Where the table goes.")] = DOCUMENT,
) -> None:
    """Train every file as it is and as it is given back, and put the table into the document."""
    console = wide_console()
    write_sample(work / "data", seed=0)
    weights = weights or str(_trained_before(work / f"source-{source_images}", source_images, console))
    bench = Bench(data=work / "data", canvas=parse_canvas(canvas), images=images, weights=weights)
    files = sorted(file for file in FAILING.iterdir() if file.is_file() and (not only or file.name in only))
    if not files:
        raise typer.BadParameter(f"--only must name files of {FAILING.name}, such as eight_gpus.yaml")
    cases = [Case(file=file, theirs=bench.imported(file)) for file in files]
    trainer = RealTrainer(bench, cases, work)
    finished = Finished(file=work / "finished.jsonl", conditions=f"{images} images, canvas {canvas}, {weights}")
    untrained = Finished(file=work / "finished.jsonl", conditions=f"{UNTRAINED}, canvas {canvas}, {weights}")
    before = []
    for seed in range(seeds):
        start = cases[0].theirs.zero.hyperparameters
        before.append(untrained.training(start, seed, lambda: trainer.untrained(start, seed)).ap or 0.0)  # noqa: B023
        for case in cases:
            run_seed(case, seed, bench, kept(finished, trainer, console), work / "mended")
            console.print(f"seed {seed}: {case.file.name}: {ends(case.pairs[-1])}", highlight=False)
        machine = Machine.here(backend=trainer.backend, device=trainer.device, script=SCRIPT)
        publish(section_of(cases, bench, mean(before)), machine, document, console)  # of so many seeds, if it ends here


def _trained_before(folder: Path, images: int, console: Console) -> Path:
    if not folder.exists():
        with console.status("training a detector of another domain"):
            train_source(folder, images)
    return weights_in(folder)


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
