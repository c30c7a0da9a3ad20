"""Trials on one warm trainer, on the sample data, as a study would run them; and what each of them took."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import optuna

from benchmarks.parts.memory import resident_mib
from benchmarks.parts.timing import TimedTrainer
from detector.config import Hyperparameters
from detector.data.sample_data import write_sample
from search.plan import Plan
from search.policy.samplers import training_seed
from search.study.budget import Budget
from search.study.canvas import parse_canvas
from search.study.data_section import Data
from search.study.detector_section import DetectorSection
from search.study.specification import Specification
from spaces.faster_rcnn import Space
from trial.reports import PausedReport, RungReport
from trial.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial and how long its parts took, in seconds."""

    hyperparameters: Hyperparameters
    complete: bool
    ending: str
    images: int
    trial_s: float
    reset_s: float
    training_steps_s: float
    evaluation_steps_s: float
    evaluation_s: float  # the steps, and what turns them into AP
    checkpoints_s: tuple[float, ...]
    first_step_s: float
    until_first_step_s: float  # from the end of the trial before until the first step begins …
    until_first_step_done_s: float  # … and until it is done
    traces: tuple[int, int]  # of the train and of the evaluation step, so far
    resident_mib: float

    @property
    def other_s(self) -> float:
        """What was neither a training nor an evaluation step."""
        return self.trial_s - self.training_steps_s - self.evaluation_steps_s


class Session:
    """One trainer from its setup on; `trials` holds what it ran."""

    def __init__(self, plan: Plan) -> None:
        began_s = perf_counter()
        self._plan = plan
        self.trainer = TimedTrainer(plan.setup)
        self.trials: list[Trial] = []
        self._ended_s = perf_counter()
        self.setup_s = self._ended_s - began_s

    def run(self, hyperparameters: Hyperparameters, rungs: Sequence[int]) -> Trial:
        """Train through the rungs (images); the watch may end the trial before the last."""
        trainer, number = self.trainer, len(self.trials)
        began_s = perf_counter()
        trainer.begin(
            hyperparameters,
            seed=training_seed(self._plan.specification.sampler.seed, number),
            budget_images=rungs[-1],
            directory=self._plan.trial_directory(number),
        )
        reset_s = perf_counter() - began_s
        for rung in rungs:
            report = trainer.advance(rung, lambda progress: None, lambda: False)
            if not isinstance(report, RungReport):
                break
        before_s, self._ended_s = self._ended_s, perf_counter()
        steps = trainer.timed_train.spans.since(began_s)
        trial = Trial(
            hyperparameters=hyperparameters,
            complete=isinstance(report, RungReport),
            ending=_ending(report),
            images=len(steps) * trainer.shape.micro_batch,
            trial_s=self._ended_s - began_s,
            reset_s=reset_s,
            training_steps_s=sum(span.seconds for span in steps),
            evaluation_steps_s=sum(span.seconds for span in trainer.timed_predict.spans.since(began_s)),
            evaluation_s=sum(span.seconds for span in trainer.evaluations.since(began_s)),
            checkpoints_s=tuple(span.seconds for span in trainer.checkpoints.since(began_s)),
            first_step_s=steps[0].seconds,
            until_first_step_s=steps[0].began_s - before_s,
            until_first_step_done_s=steps[0].ended_s - before_s,
            traces=(trainer.timed_train.traces, trainer.timed_predict.traces),
            resident_mib=resident_mib(),
        )
        self.trials.append(trial)
        return trial


def sample_plan(folder: Path, *, canvas: str, images: int, validation_images: int | None = None) -> Plan:
    """A study on the sample data, in the folder or written there, with every default but these and the micro-batch.

    That is the largest, unmeasured, so that two runs measure the same step.
    """
    if not (folder / "data").exists():
        write_sample(folder / "data")
    specification = Specification(
        name="benchmark",
        storage="sqlite:///never-opened.db",
        data=Data(folder=folder / "data"),
        detector=DetectorSection(canvas=parse_canvas(canvas)),
        budget=Budget(images=images, validation_images=validation_images),
    )
    plan = Plan.of(specification, folder)
    return replace(plan, setup=replace(plan.setup, measure_micro_batch=False))


def random_configurations(space: Space, count: int) -> list[Hyperparameters]:
    """That many points of the space, the same ones every time."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [space.configuration(space.suggest(study.ask())) for _ in range(count)]


def _ending(report: RungReport | PausedReport | Verdict) -> str:
    match report:
        case RungReport():
            return f"AP {report.ap:.3f}"
        case Verdict():
            return f"{report.outcome}: {report.cause}"
        case PausedReport():
            return "paused"
