"""The same trials on one warm trainer, and each in a process of its own, as scripts that call a training do it.

Both sides run the same code on the same cached images and calibrated weights; the fresh process pays imports, building
and compiling again. The sides take turns, so that a busy machine slows both.
"""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from benchmarks.parts.fresh_cell import Question, ask
from benchmarks.parts.machine import Machine
from benchmarks.parts.session import Session, random_configurations, sample_plan
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console

SCRIPT = "benchmarks.fresh_process"
CANVAS = "128x128"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Seconds of one trial on either side."""

    warm_s: float
    fresh_s: float


def fresh_s(question: Question) -> float:
    """Seconds of one trial in a process of its own, from its start to its end."""
    began_s = time.perf_counter()
    ask(question)
    return time.perf_counter() - began_s


def section(pairs: list[Pair], setup_s: float, images: int, validation_images: int) -> Section:
    warm_s = setup_s + sum(pair.warm_s for pair in pairs)
    each_s = sum(pair.fresh_s for pair in pairs)
    return Section(
        script=SCRIPT,
        title="A study on one warm trainer against one process a trial",
        tables=(
            Table(
                caption=f"{len(pairs)} trials of {images} images, {validation_images} for validation",
                columns=("side", "whole study, s", "median trial, s", "longest trial, s", "ratio"),
                rows=(
                    ("one warm trainer, with its setup", warm_s, *_typical([pair.warm_s for pair in pairs]), 1.0),
                    ("a process a trial", each_s, *_typical([pair.fresh_s for pair in pairs]), each_s / warm_s),
                ),
            ),
        ),
        notes=(
            "Random configurations, the same on both sides; image cache and calibrated weights are there for both. "
            "The longer a trial, the smaller the ratio: what a process costs beside its trial is a constant of "
            f"{median(pair.fresh_s - pair.warm_s for pair in pairs):.1f} s here.",
        ),
    )


def _typical(seconds: list[float]) -> tuple[float, float]:
    return median(seconds), max(seconds)


def main(
    trials: Annotated[int, typer.Option(min=2, help="trials of the study")] = 20,
    images: Annotated[int, typer.Option(min=16, help="images of a trial")] = 32,
    validation_images: Annotated[int, typer.Option(min=1, help="images of its evaluation")] = 8,
    canvas: Annotated[str, typer.Option(help="HEIGHTxWIDTH")] = CANVAS,
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Compare one warm trainer with a process for each trial; KERAS_BACKEND chooses the backend."""
    console = wide_console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = sample_plan(folder, canvas=canvas, images=images, validation_images=validation_images)
        question = Question(folder=name, canvas=canvas, images=images, validation_images=validation_images)
        with console.status("setup"):
            Session(plan)  # fills the caches of both sides
            session = Session(plan)
        pairs = []
        for number, configuration in enumerate(random_configurations(plan.space, trials)):
            with console.status(f"trial {number + 1} of {trials}"):
                trial = session.run(configuration, (images,))
                alone_s = fresh_s(replace(question, number=number))
            pairs.append(Pair(warm_s=trial.trial_s, fresh_s=alone_s))
    trainer = session.trainer
    machine = Machine.here(backend=trainer.backend, device=trainer.device, script=SCRIPT)
    publish(section(pairs, session.setup_s, images, validation_images), machine, output, console)


if __name__ == "__main__":
    typer.run(main)
