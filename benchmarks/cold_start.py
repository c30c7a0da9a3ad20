"""The time of a process until its first training step is done: the first process on a machine, and later ones.

The first finds an empty cache folder; a later one the decoded images, the calibrated weights and, on JAX, the compiled
steps. One more side is a later process without what docs/decisions/0012 gained. The sides take turns.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from benchmarks.parts.fresh_cell import Answer, Question, ask
from benchmarks.parts.machine import Machine
from benchmarks.parts.session import sample_plan
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console
from detector.backend import BACKEND

SCRIPT = "benchmarks.cold_start"
IMAGES, VALIDATION_IMAGES = 16, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A kind of process: what it does not find below the folder, and whether TensorFlow optimises its graph."""

    name: str
    lacks: str | None = None
    optimize_graph: bool = False


FIRST, LATER = Side(name="the first process", lacks="cache"), Side(name="a later one")
BEFORE = {
    "tensorflow": Side(name="a later one whose graph is optimised", optimize_graph=True),
    "jax": Side(name="a later one without the kept compilations", lacks="cache/jax"),
}
SIDES = (FIRST, LATER, BEFORE[BACKEND])


def started(side: Side, folder: Path, canvas: str) -> Answer:
    """One such process."""
    if side.lacks:
        shutil.rmtree(folder / side.lacks, ignore_errors=True)
    question = Question(
        folder=str(folder),
        canvas=canvas,
        images=IMAGES,
        validation_images=VALIDATION_IMAGES,
        optimize_graph=side.optimize_graph,
    )
    return ask(question)


def section(answers: dict[Side, list[Answer]], canvas: str) -> Section:
    return Section(
        script=SCRIPT,
        title="From the start of a process to its first training step",
        tables=(
            Table(
                caption=f"Canvas {canvas}, medians of {len(answers[LATER])}",
                columns=("process", "imports, s", "setup, s", "first step, s", "until it is done, s", "ratio"),
                rows=tuple(
                    (side.name, *_medians(given), _ratio(given, answers[LATER])) for side, given in answers.items()
                ),
            ),
        ),
        notes=(
            "Setup: annotations, decoded images, network, weights. First step: trace, compile, run. Ratio: until it is "
            "done, against a later process of the same turn, median. Last row: how it was before docs/decisions/0012.",
        ),
    )


def _medians(answers: list[Answer]) -> tuple[float, ...]:
    parts = [(a.imports_s, a.setup_s, a.first_step_s, a.until_first_step_done_s) for a in answers]
    return tuple(median(part) for part in zip(*parts, strict=True))


def _ratio(answers: list[Answer], later: list[Answer]) -> float:
    pairs = zip(answers, later, strict=True)
    return median(one.until_first_step_done_s / other.until_first_step_done_s for one, other in pairs)


def main(
    turns: Annotated[int, typer.Option(min=1, help="processes of each kind")] = 5,
    canvas: Annotated[str, typer.Option(help="HEIGHTxWIDTH")] = "128x128",
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Start processes with and without a filled cache folder; KERAS_BACKEND chooses the backend."""
    console = wide_console()
    answers: dict[Side, list[Answer]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample_plan(folder, canvas=canvas, images=IMAGES)  # the data are there before the first process
        for turn in range(turns):
            for side in SIDES:
                with console.status(f"turn {turn + 1} of {turns}: {side.name}"):
                    answers[side].append(started(side, folder, canvas))
    any_answer = answers[LATER][0]
    machine = Machine.here(backend=any_answer.backend, device=any_answer.device, script=SCRIPT)
    publish(section(answers, canvas), machine, output, console)


if __name__ == "__main__":
    typer.run(main)
