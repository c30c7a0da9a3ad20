"""What a whole detector's weights save a search: images until the study has the from-scratch study's best AP.

    python -m benchmarks.fine_tuning [--work FOLDER] [--seeds 2]

A detector is trained from scratch on one domain (`benchmarks.parts.other_shapes`) and left as `train` leaves it. Then
the sample data, which has no class, colour or texture in common with it, is searched twice for each seed, as
`launch --data` would: from nothing and from that detector. Both studies have the same budget and settings but for what
the weights decide: ranges, trial 1, frozen stages. Half an hour on two cores. With `--work`, parts that are finished
are kept in the folder and not repeated, and a study that was stopped goes on.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.parts.machine import Machine
from benchmarks.parts.other_domain import CANVAS, MICRO_BATCH, SIZE_PX, train_source, weights_in
from benchmarks.parts.readings import StudyReading, best, followed, kept_readings, reached
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console
from detector.data.sample_data import write_sample
from search.exit_codes import ExitCode
from search.launch.launching import launch
from search.study.first_launch import write_study_file
from search.study.specification import Specification
from search.study.study_file import Options, load_study_file
from search.terminal import PlainConsole

SCRIPT = "benchmarks.fine_tuning"
PARTS = "parts.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is trained."""

    source_images: int
    images: int  # of a full trial
    trials: int

    @property
    def name(self) -> str:
        """A folder for studies of this scale."""
        return f"{self.source_images}-{self.images}-{self.trials}"


def study(folder: Path, data: Path, scale: Scale, *, seed: int, weights: str) -> Specification:
    """The study that `launch --data` writes with these weights, on a micro-batch that is not measured."""
    folder.mkdir(parents=True, exist_ok=True)
    options = Options(name="study", weights=weights, canvas=CANVAS, trials=scale.trials, images=scale.images, seed=seed)
    write_study_file(folder / "study.yaml", data, options)
    written = load_study_file(folder / "study.yaml")
    return replace(written, detector=replace(written.detector, micro_batch=MICRO_BATCH))


def search(specification: Specification, folder: Path) -> list[StudyReading]:
    """Run the study, or what is left of it, to its end; its readings in the order in which they came."""
    readings = folder / "readings.jsonl"
    with (folder / "launch.log").open("a") as log, followed(specification, readings):
        code = launch(specification, folder=folder, console=PlainConsole(file=log, width=200))
    if code not in (ExitCode.DONE, ExitCode.USER_MUST_ACT):  # the latter: no trial is of use, which is a finding, too
        raise typer.Exit(code)
    return kept_readings(readings)


class Work:
    """The parts of a measurement in a folder; one that is finished is read, not run again."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / PARTS
        folder.mkdir(parents=True, exist_ok=True)

    def source(self, scale: Scale) -> dict[str, Any]:
        """The detector to begin with; see `train_source`."""
        folder = self._folder / f"source-{scale.source_images}"
        with self._part({"part": "source", "images": scale.source_images}) as part:
            if "ap" not in part:
                part |= train_source(folder, scale.source_images)
        return part | {"weights": str(weights_in(folder))}

    def search(self, scale: Scale, *, seed: int, weights: str) -> list[StudyReading]:
        """The readings of one study."""
        kind = "scratch" if weights == "none" else "detector"
        folder = self._folder / scale.name / f"{kind}-{seed}"
        with self._part({"part": "search", "scale": scale.name, "kind": kind, "seed": seed}) as part:
            if "readings" not in part:
                data = self._data()
                found = search(study(folder, data, scale, seed=seed, weights=weights), folder)
                part["readings"] = [asdict(reading) for reading in found]
        return [StudyReading(**reading) for reading in part["readings"]]

    def _data(self) -> Path:
        if not (self._folder / "sample" / "val.json").is_file():
            write_sample(self._folder / "sample", size_px=SIZE_PX)
        return self._folder / "sample"

    @contextmanager
    def _part(self, key: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What is known of a part, for the block to add what it finds."""
        known = [part for part in self._parts() if part.items() >= key.items()]
        part = dict(known[0]) if known else dict(key)
        yield part
        if not known:
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(part) + "\n")

    def _parts(self) -> list[dict[str, Any]]:
        if not self._file.is_file():
            return []
        return [json.loads(line) for line in self._file.read_text(encoding="utf-8").splitlines()]


def comparison(seed: int, scratch: Sequence[StudyReading], tuned: Sequence[StudyReading]) -> tuple[str | float, ...]:
    """A row of the table; `–` where the best AP from scratch was never reached."""
    goal, own = best(scratch), best(tuned)
    first = reached(tuned, goal.ap)
    found = (
        ("–", "–", "–", "–")
        if first is None
        else (first.study_images, f"{first.study_images / goal.study_images:.0%}", first.trial, first.images)
    )
    return (seed, goal.ap, goal.study_images, goal.trial, goal.images, *found, own.ap)


def section(rows: Sequence[tuple[str | float, ...]], scale: Scale, source_ap: float) -> Section:
    """The table with how it was taken."""
    return Section(
        script=SCRIPT.removeprefix("benchmarks."),
        title="Searches from a whole detector",
        tables=(
            Table(
                caption=f"Images until the best AP of the study from scratch: {scale.trials} trials of at most "
                f"{scale.images} images, sample data, canvas {CANVAS}",
                columns=(
                    "seed", "best AP from scratch", "images of that study until then", "trial", "images of that trial",
                    "images of the fine-tuning study until as much", "share", "trial", "images of that trial",
                    "its best AP in the end",
                ),
                rows=tuple(rows),
            ),
        ),
        notes=(
            f"The detector was trained on {scale.source_images} images of another domain (rings, crosses, stars and "
            f"bars on striped ground, AP {source_ap:.3f} there), which no column counts.",
            "Images of a study are those of all its trials, also of such as were paused or ended early.",
            f"Studies as `launch --data` writes them, micro-batch {MICRO_BATCH}, one worker.",
        ),
    )  # fmt: skip


def main(
    work: Annotated[Path | None, typer.Option(help="Folder for studies and finished parts, to go on later.")] = None,
    seeds: Annotated[int, typer.Option(min=1)] = 2,
    source_images: Annotated[int, typer.Option(min=4, help="On which the detector is trained before.")] = 1440,
    images: Annotated[int, typer.Option(min=4, help="Of a full trial.")] = 720,
    trials: Annotated[int, typer.Option(min=1, help="Of each study.")] = 6,
    document: Annotated[Path, typer.Option(help="Where the table goes.")] = DOCUMENT,
) -> None:
    """Run what is left, and put the table into the document."""
    scale, console = Scale(source_images=source_images, images=images, trials=trials), wide_console()
    with tempfile.TemporaryDirectory() as name:
        parts = Work(work or Path(name))
        with console.status("training a detector of another domain"):
            source = parts.source(scale)
        rows = []
        for seed in range(seeds):
            found = []
            for weights in ("none", source["weights"]):
                with console.status(f"seed {seed} of {seeds}, from {weights}"):
                    found.append(parts.search(scale, seed=seed, weights=weights))
            rows.append(comparison(seed, *found))
    machine = Machine.here(backend=source["backend"], device=source["device"], script=SCRIPT)
    publish(section(rows, scale, source["ap"]), machine, document, wide_console())


if __name__ == "__main__":
    typer.run(main)
