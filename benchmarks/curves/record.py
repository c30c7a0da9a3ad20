"""Records learning curves of the real detector, for policies to be replayed on; goes on where it was stopped.

    python -m benchmarks.curves.record FOLDER [--configurations 48] [--seeds 3] [--only cells]

48 configurations of the default space on each of three datasets (`benchmarks.curves.datasets`), from scratch: the
reference, the derived point, and random ones that the anchor screen lets pass; some diverge. The first eight with
further seeds. FOLDER takes data and caches; curves are appended to benchmarks/curves/recorded. Some five hours on two
cores. Times are the processors', so that other work on the machine changes little.
"""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import optuna
import typer

from benchmarks.curves.curve import RECORDED, REPEATED, Curve, CurveReading, append_curve, read_curves, trainings
from benchmarks.curves.datasets import DATASETS
from detector.training.trainer import Trainer
from detector.training.validation import images_worth
from search.launch.settled import Settled, settle
from search.plan import Plan
from search.policy.proposal import propose
from search.policy.samplers import derive_seed, training_seed
from search.policy.screens.anchor_screen import AnchorScreen
from search.study.budget import Budget
from search.study.canvas import parse_canvas
from search.study.data_section import Data
from search.study.detector_section import DetectorSection
from search.study.specification import Specification
from search.terminal import PlainConsole
from spaces.faster_rcnn import Space
from spaces.parameters import Value
from trial.outcome import Outcome
from trial.reports import RungReport
from trial.verdict import Verdict

IMAGES = 640
READ_AT = (52, 80, 107, 160, 240, 320, 480, IMAGES)  # where a study with such a budget has its rungs, and between
SEED = 7
LEAST_FIT = 0.5  # of anchors, as a study has it by default


class Recorder:
    """One dataset with its trainer, which the first training starts."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder / name
        self._folder.mkdir(parents=True, exist_ok=True)
        source = DATASETS[name]
        specification = Specification(
            name=name,
            storage="sqlite:///never-opened.db",
            data=Data(folder=source.folder(self._folder)),
            detector=DetectorSection(canvas=parse_canvas(source.canvas), micro_batch=4),
            budget=Budget(images=IMAGES),
        )
        self._settled: Settled = settle(specification, PlainConsole(), folder=self._folder)
        self._trainer: Trainer | None = None

    def points(self, count: int) -> Iterator[tuple[int, dict[str, Value]]]:
        """Numbered points of the space: the reference, the derived one, random ones whose anchors can work."""
        specification, screen = self._settled.specification, self._settled.screen
        assert screen is not None  # the default space varies anchors
        yield 0, specification.space.reference()
        yield 1, specification.space.nearest(specification.derived or {})
        passing = (
            point for point in _random_points(specification.space) if _can_work(specification.space, point, screen)
        )
        yield from zip(range(2, count), passing, strict=False)

    def curve(self, configuration: int, parameters: dict[str, Value], seed: int) -> Curve:
        """Train once, and evaluate as it goes."""
        plan = Plan.of(self._settled.specification, self._folder)
        self._trainer = self._trainer or Trainer(plan.setup)
        self._trainer.begin(
            plan.space.configuration(parameters),
            seed=training_seed(seed, configuration),
            budget_images=IMAGES,
            directory=self._folder / "trial",
        )
        readings, verdict = _readings(self._trainer)
        return Curve(
            dataset=self.name,
            configuration=configuration,
            seed=seed,
            parameters=parameters,
            outcome=Outcome.COMPLETE if verdict is None else verdict.outcome,
            cause="" if verdict is None else verdict.cause,
            images=IMAGES if verdict is None else verdict.images,
            readings=tuple(readings),
        )


def _readings(trainer: Trainer) -> tuple[list[CurveReading], Verdict | None]:
    """What is read of the trial that was begun, and the verdict that ended it early."""
    readings: list[CurveReading] = []
    for images in READ_AT:
        began_s = time.process_time()
        report = trainer.advance(images, lambda progress: None, lambda: False)
        if isinstance(report, Verdict):
            return readings, report
        assert isinstance(report, RungReport)  # nobody asks it to pause
        readings.append(_reading(report, trainer, time.process_time() - began_s))
    return readings, None


def _reading(report: RungReport, trainer: Trainer, computed_s: float) -> CurveReading:
    """The reading of a stretch for which the processors worked so long; the clock says for what."""
    share = report.evaluation_s / (report.training_s + report.evaluation_s)
    began_s = time.process_time()
    part = trainer.evaluate(most_images=images_worth(report.images))
    return CurveReading(
        images=report.images,
        training_s=(1 - share) * computed_s,
        evaluation_s=share * computed_s,
        part_s=time.process_time() - began_s,
        metrics=report.metrics,
        part=part,
    )


def _random_points(space: Space) -> Iterator[dict[str, Value]]:
    study = optuna.create_study()
    for number in itertools.count():
        sampler = optuna.samplers.RandomSampler(seed=derive_seed(SEED, number, purpose=3))
        yield propose(space, study, sampler, number=number, fixed={}).params


def _can_work(space: Space, point: dict[str, Value], screen: AnchorScreen) -> bool:
    return screen.verdict(space.configuration(point).anchors, least=LEAST_FIT) is None


def main(
    folder: Annotated[Path, typer.Argument(help="For data and caches.")],
    configurations: Annotated[int, typer.Option(min=REPEATED)] = 48,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    only: Annotated[str, typer.Option(help="One of the datasets.")] = "",
    recorded: Annotated[Path, typer.Option(help="Where curves go.")] = RECORDED,
) -> None:
    """Record what is not there yet."""
    done = {curve.key for curve in read_curves(recorded)}
    for name in [only] if only else DATASETS:
        recorder = Recorder(name, folder)
        points = dict(recorder.points(configurations))
        for configuration, seed in trainings(configurations, seeds):
            if (name, configuration, seed) in done:
                continue
            curve = recorder.curve(configuration, points[configuration], seed)
            append_curve(recorded, curve)
            aps = " ".join(f"{reading.metrics['ap']:.3f}" for reading in curve.readings)
            PlainConsole().print(f"{name} {configuration} seed {seed}: {curve.outcome} {curve.cause} {aps}")


if __name__ == "__main__":
    typer.run(main)
