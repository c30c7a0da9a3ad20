"""Failing files of other frameworks, and what `export --onto` gives back: does that train where theirs did not?

    python -m benchmarks.mended_files [--images 480] [--seeds 3] [--only NAME …] [--work FOLDER]

The thirteen files in tests/search/imports/failing, each after a public report, as trial 0 on the sample data, by the
real trainer from scratch, one executable for all. What trial 0 does with seed 0 decides how its file is mended, as if
it stood alone in a study; both are then trained with the same seeds. A training that stands in the work folder is not
repeated, equal ones are trained once, and seed 0 of all files comes first: an interrupted run goes on where it was,
and each seed that is done for all files gives a table.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.parts.finished import Finished, Training
from benchmarks.parts.machine import Machine
from benchmarks.parts.mended_file import CANNOT_SHOW, FAILING, Bench, GivenBack, file_given_back
from benchmarks.parts.table import DOCUMENT, Cell, Section, Table, publish, wide_console
from detector.config import Hyperparameters
from detector.data.sample_data import write_sample
from detector.training.trainer import Trainer
from search.imports.importing import Import
from search.plan import Plan
from search.study.canvas import parse_canvas
from trial.outcome import Outcome
from trial.reports import RungReport
from trial.verdict import Verdict

SCRIPT = "benchmarks.mended_files"
UNTRAINED = "untrained"
COLUMNS = (
    "file", "found first", "changed", "theirs", "AP", "AP50", "given back", "AP", "AP50", "cause is gone", "seeds",
)  # fmt: skip

Train = Callable[[Hyperparameters, int], Training]


@dataclass(slots=True)
class Case:
    """One file: as it is, and as it is given back."""

    file: Path
    theirs: Import
    back: GivenBack | None = None
    pairs: list[tuple[Training, Training]] = field(default_factory=list)  # theirs and the mended one, by seed

    @property
    def cause(self) -> str:
        return self.theirs.findings[0].name

    @property
    def cause_is_gone(self) -> bool:
        return self.back is not None and self.cause not in {each.name for each in self.back.found.findings}


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
        report = self._trainer.advance(images, lambda progress: None, lambda: False)
        if isinstance(report, RungReport):
            verdict = Verdict(outcome=Outcome.COMPLETE, step=report.step, images=report.images)
            return Training(verdict=verdict, ap=report.ap, ap50=report.metrics["ap50"])
        assert isinstance(report, Verdict)
        return Training(verdict=report)

    def untrained(self, hyperparameters: Hyperparameters, seed: int) -> Training:
        """Evaluate before any training."""
        self._begin(hyperparameters, seed)
        metrics = self._trainer.evaluate()
        return Training(verdict=Verdict(outcome=Outcome.COMPLETE), ap=metrics["ap"], ap50=metrics["ap50"])

    def _begin(self, hyperparameters: Hyperparameters, seed: int) -> int:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._trainer.begin(hyperparameters, seed=seed, budget_images=self._bench.images, directory=self._folder)
        return self._bench.images


def row(case: Case, untrained_ap: float) -> tuple[Cell, ...]:
    """What is said of one file in the table."""
    assert case.back is not None
    theirs, mended = [pair[0] for pair in case.pairs], [pair[1] for pair in case.pairs]
    hidden = CANNOT_SHOW.get(case.cause)
    fate = f"cannot fail so: {hidden}; {ends(theirs)}" if hidden else ends(theirs)
    changed = "; ".join((*case.back.changes, *(f"not written: {each}" for each in case.back.unwritten)))
    return (
        case.file.name, case.cause, changed or "nothing", fate, *figures(theirs),
        f"{ends(mended)}; better than untrained in {learnt(mended, untrained_ap)}", *figures(mended),
        "yes" if case.cause_is_gone else "no", len(case.pairs),
    )  # fmt: skip


def ends(trainings: Sequence[Training]) -> str:
    """`trained in 2 of 3, diverged (exploding) in 1`."""
    whole = sum(each.is_whole for each in trainings)
    words = [f"{each.verdict.outcome} ({each.verdict.evidence.get('rule', each.verdict.cause)})" for each in trainings
             if not each.is_whole]  # fmt: skip
    failures = [f"{word} in {words.count(word)}" for word in dict.fromkeys(words)]
    return ", ".join([f"trained in {whole} of {len(trainings)}", *failures])


def learnt(trainings: Sequence[Training], untrained_ap: float) -> int:
    """How many ended better than the untrained detector."""
    return sum(each.ap is not None and each.ap > untrained_ap for each in trainings)


def figures(trainings: Sequence[Training]) -> tuple[str, str]:
    """Mean AP and AP50 of those that trained to the end."""
    whole = [(each.ap, each.ap50) for each in trainings if each.ap is not None and each.ap50 is not None]
    return tuple(f"{mean(each):.3f}" for each in zip(*whole, strict=True)) if whole else ("–", "–")  # type: ignore[return-value]


def conclusion(cases: Sequence[Case], untrained_ap: float) -> str:
    """The claim, counted: where the fault shows, does the file given back train where theirs did not?"""
    shown = [case for case in cases if case.cause not in CANNOT_SHOW]
    failed = [case for case in shown if not all(theirs.is_whole for theirs, _ in case.pairs)]
    mended = [case for case in failed if all(each.is_whole for _, each in case.pairs)]
    better = [case for case in shown if case not in failed and _gain(case) > 0]
    return (
        f"Of {len(cases)} files {len(shown)} have a fault that a trial here can have. {len(failed)} of these did not "
        f"train with every seed as they were; of those {len(mended)} do so as they are given back. Of the other "
        f"{len(shown) - len(failed)}, whose fault costs accuracy, {len(better)} have a higher AP as they are given "
        f"back. The cause is gone from {sum(case.cause_is_gone for case in cases)} of {len(cases)} files. The "
        f"untrained detector has an AP of {untrained_ap:.4f}."
    )


def _gain(case: Case) -> float:
    return mean((mended.ap or 0.0) - (theirs.ap or 0.0) for theirs, mended in case.pairs)


def section_of(cases: Sequence[Case], bench: Bench, untrained_ap: float) -> Section:
    """The table, with its notes."""
    table = Table(
        caption=f"Failing files and what `export --onto` gives back, {bench.images} images each from scratch, canvas "
        f"{bench.canvas}",
        columns=COLUMNS,
        rows=tuple(row(case, untrained_ap) for case in cases),
    )
    notes = (
        conclusion(cases, untrained_ap),
        "AP and AP50 are means over the seeds that trained to the end. Where a trial here cannot have the fault, both "
        "files train alike, and the claim is the linter's alone: it names the cause, and it is gone from the file.",
    )
    return Section(script=SCRIPT.removeprefix("benchmarks."), title="Mended files", tables=(table,), notes=notes)


def main(
    images: Annotated[int, typer.Option(min=1, help="Budget of each training, in images seen.")] = 480,
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
