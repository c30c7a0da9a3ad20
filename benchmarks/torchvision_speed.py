"""Training images per second against torchvision's Faster R-CNN at the same canvas, batch, proposals and RoIs.

Both sides wait in processes of their own and take one step in turn, so that a busy machine slows both. Where
torchvision is not installed, or its compiled operators do not load, nothing is measured and the reason is said.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.parts.machine import Machine
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console
from benchmarks.step_speed import Question
from detector.config import Precision

SCRIPT = "benchmarks.torchvision_speed"
THEIRS = Path(__file__).parent / "parts" / "torchvision_cell.py"
CANVASES = ("128x128", "256x256")
ROIS = (64, 512)
ALL_PROPOSALS_FROM_ROIS = 512  # with so many RoIs as many proposals as both frameworks have by default …
ALL_PROPOSALS = 1000  # … which a small canvas does not get otherwise (StepShape.for_detector)
WARM_UP_STEPS = 3
COLUMNS = (
    "canvas", "images per step", "RoIs", "precision", "ours, images/s", "torchvision, images/s", "ratio",
    "lowest pair", "highest pair",
)  # fmt: skip
OPERATORS = "import torch, torchvision; torchvision.ops.nms(torch.rand(2, 4), torch.rand(2), 0.5)"


class Rival:
    """A process that takes one training step for each line."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about: dict[str, Any] = self._answer()

    def __enter__(self) -> "Rival":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def step_s(self) -> float:
        """Seconds of one more step."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a rival ended with {self._process.wait()}; its reason stands above")
        return json.loads(line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Steps of both sides in turn, in seconds, after warm-up; the better of torchvision's memory formats."""

    question: Question
    ours_s: tuple[float, ...]
    theirs_s: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        return [theirs / ours for ours, theirs in zip(self.ours_s, self.theirs_s, strict=True)]


def our_command(question: Question) -> list[str]:
    return [sys.executable, "-m", "benchmarks.parts.step_cell", json.dumps(asdict(question)), "--serve"]


def their_command(question: Question, python: str, *, channels_last: bool) -> list[str]:
    shape = question.shape()
    settings = {
        "height_px": shape.canvas.height_px,
        "width_px": shape.canvas.width_px,
        "precision": shape.precision.value,
        "channels_last": channels_last,
        **{
            name: getattr(shape, name)
            for name in ("micro_batch", "classes", "pre_nms_train", "proposals_train", "anchor_samples", "roi_samples")
        },
    }
    return [python, str(THEIRS), json.dumps(settings)]


def play(question: Question, python: str, pairs: int) -> tuple[Match, dict[str, str], str]:
    """The match, the versions of both sides, and the device."""
    with (
        Rival(our_command(question)) as ours,
        Rival(their_command(question, python, channels_last=False)) as plain,
        Rival(their_command(question, python, channels_last=True)) as channels_last,
    ):
        rounds = [(ours.step_s(), plain.step_s(), channels_last.step_s()) for _ in range(WARM_UP_STEPS + pairs)]
    ours_s, *theirs = zip(*rounds[WARM_UP_STEPS:], strict=True)
    match = Match(question=question, ours_s=ours_s, theirs_s=min(theirs, key=median))
    return match, {**ours.about["versions"], **plain.about["versions"]}, ours.about["device"]


def row(match: Match) -> tuple[str | int | float, ...]:
    """One line of the table, as COLUMNS."""
    question, ratios = match.question, match.ratios
    images = question.micro_batch
    rates = (images / median(match.ours_s), images / median(match.theirs_s))
    return (
        question.canvas, images, question.shape().roi_samples, question.precision, *rates, median(ratios), min(ratios),
        max(ratios),
    )  # fmt: skip


def section(matches: Sequence[Match], versions: dict[str, str]) -> Section:
    table = Table(caption="One training step of each side in turn", columns=COLUMNS, rows=tuple(map(row, matches)))
    return Section(
        script=SCRIPT,
        title="Against torchvision's fasterrcnn_resnet50_fpn",
        tables=(table,),
        notes=(
            f"Ratio: torchvision's seconds over ours, median of {len(matches[0].ours_s)} pairs. Versions: "
            + ", ".join(f"{name} {number}" for name, number in versions.items()),
            "Both: all stages train, batch norm frozen, 3 anchors a cell, 256 sampled anchors, SGD with momentum. Ours "
            "augments, clips and computes its health figures besides; torchvision runs without resizing, in the faster "
            "of its two memory formats.",
        ),
    )


def reason_to_skip(python: str) -> str:
    """Why torchvision cannot be measured under that interpreter; empty if it can."""
    tried = subprocess.run([python, "-c", OPERATORS], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else (tried.stderr.strip().splitlines() or ["it ended without a word"])[-1]


def main(
    canvas: Annotated[list[str] | None, typer.Option(help="HEIGHTxWIDTH; give it again for more")] = None,
    rois: Annotated[list[int] | None, typer.Option(min=1, help="sampled RoIs; give it again for more")] = None,
    batch: Annotated[int, typer.Option(min=1, help="images per step")] = 4,
    pairs: Annotated[int, typer.Option(min=5, help="steps of each side after warm-up")] = 9,
    precision: Precision = Precision.FLOAT32,
    python: Annotated[str, typer.Option(help="interpreter that has torch and torchvision")] = sys.executable,
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Compare one training step with torchvision's; KERAS_BACKEND chooses our backend."""
    console: Console = wide_console()
    if reason := reason_to_skip(python):
        console.print(f"skipped: torchvision's operators do not load under {python}: {reason}", highlight=False)
        return
    first = Question(canvas=CANVASES[0], micro_batch=batch, anchors_per_cell=3, repeats=1, precision=precision.value)
    matches = []
    for size in canvas or CANVASES:
        for count in rois or ROIS:
            proposals = ALL_PROPOSALS if count >= ALL_PROPOSALS_FROM_ROIS else None
            question = replace(first, canvas=size, roi_samples=count, proposals=proposals)
            with console.status(f"canvas {size}, {count} RoIs"):
                match, versions, device = play(question, python, pairs)
            matches.append(match)
    backend = "jax" if "jax" in versions else "tensorflow"
    publish(section(matches, versions), Machine.here(backend=backend, device=device, script=SCRIPT), output, console)


if __name__ == "__main__":
    typer.run(main)
