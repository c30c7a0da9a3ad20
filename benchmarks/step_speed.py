"""Seconds per optimizer step, images per second and peak memory, by canvas and batch.

Each row is measured in a fresh process (`step_cell`), so that its compilation and memory are its own. This one loads
no backend: a process begins with the peak memory of its parent.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from benchmarks.parts.machine import Machine
from benchmarks.parts.table import DOCUMENT, Cell, Section, Table, publish, wide_console
from detector.config import Detector, Precision, StepShape
from search.study.canvas import parse_canvas
from spaces.faster_rcnn import Space

SCRIPT = "benchmarks.step_speed"
CANVASES = ("128x128", "256x256")
BATCHES = (2, 4, 8)
BOX_SLOTS, CLASSES = 8, 3
COLUMNS = (
    "canvas", "images per step", "RoIs", "s/step", "fastest", "slowest", "images/s", "first call, s", "traces",
    "peak resident, MiB", "peak on device, MiB",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which step is to be measured, and how often."""

    canvas: str
    micro_batch: int
    anchors_per_cell: int
    repeats: int
    precision: str = Precision.FLOAT32
    roi_samples: int | None = None
    proposals: int | None = None

    def shape(self) -> StepShape:
        """The compile key of a study with these settings."""
        return StepShape.for_detector(
            Detector(
                canvas=parse_canvas(self.canvas),
                precision=Precision(self.precision),
                roi_samples=self.roi_samples,
                proposals=self.proposals,
            ),
            anchors_per_cell=self.anchors_per_cell,
            boxes_per_image=BOX_SLOTS,
            classes=CLASSES,
            micro_batch=self.micro_batch,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one process measured."""

    backend: str
    device: str
    first_s: float  # trace, compile and run
    steps_s: tuple[float, ...]
    traces: int
    peak_mib: float
    device_mib: float | None


def ask(question: Question) -> Answer:
    """Measure in a fresh process, which shares this one's standard error."""
    command = [sys.executable, "-m", "benchmarks.parts.step_cell", json.dumps(asdict(question))]
    answered = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Answer(**json.loads(answered.stdout.splitlines()[-1]))


def row(question: Question, answer: Answer) -> tuple[Cell, ...]:
    """One line of the table, as COLUMNS."""
    step_s = median(answer.steps_s)
    return (
        question.canvas,
        question.micro_batch,
        question.shape().roi_samples,
        step_s,
        min(answer.steps_s),
        max(answer.steps_s),
        question.micro_batch / step_s,
        answer.first_s,
        answer.traces,
        answer.peak_mib,
        "–" if answer.device_mib is None else answer.device_mib,
    )


def section(questions: Sequence[Question], answers: Sequence[Answer]) -> Section:
    """The table of all cells, which share everything but canvas and batch."""
    first = questions[0]
    table = Table(
        caption=f"One optimizer step of one micro-batch, {first.precision}",
        columns=COLUMNS,
        rows=tuple(row(question, answer) for question, answer in zip(questions, answers, strict=True)),
    )
    return Section(
        script=SCRIPT,
        title="Train step by canvas and batch",
        tables=(table,),
        notes=(
            f"s/step is the median of {first.repeats} steps after warm-up, from the batch on the host to its figures "
            f"on the host, in a fresh process a row; {first.anchors_per_cell} anchor slots per cell, {BOX_SLOTS} boxes "
            "per image.",
        ),
    )


def main(
    canvas: Annotated[list[str] | None, typer.Option(help="HEIGHTxWIDTH; give it again for more")] = None,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="images per step; give it again for more")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="steps timed after warm-up")] = 5,
    anchors: Annotated[int, typer.Option(min=3, help="anchor slots per cell")] = Space.default().anchors_per_cell(),
    rois: Annotated[int | None, typer.Option(min=1, help="sampled RoIs; by default by canvas")] = None,
    precision: Precision = Precision.FLOAT32,
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Measure the compiled train step by canvas and batch; KERAS_BACKEND chooses the backend."""
    console = wide_console()
    questions = [
        Question(
            canvas=one,
            micro_batch=images,
            anchors_per_cell=anchors,
            repeats=repeats,
            precision=precision.value,
            roi_samples=rois,
        )
        for one in canvas or CANVASES
        for images in batch or BATCHES
    ]
    answers = []
    for question in questions:
        with console.status(f"canvas {question.canvas}, {question.micro_batch} images per step"):
            answers.append(ask(question))
    machine = Machine.here(backend=answers[0].backend, device=answers[0].device, script=SCRIPT)
    publish(section(questions, answers), machine, output, console)


if __name__ == "__main__":
    typer.run(main)
