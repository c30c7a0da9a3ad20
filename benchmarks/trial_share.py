"""The share of a default short trial that is neither training nor evaluation steps, and what a warm trainer keeps.

One trainer process runs a short trial (cold), the whole default trial (warm), and then short ones of random
configurations: the parts of the second, the gaps between trials, the traces and the resident memory are the figures.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import optuna
import typer
from rich.console import Console

from benchmarks.machine import Machine
from benchmarks.memory import peak_resident_mib, resident_mib
from benchmarks.table import DOCUMENT, Cell, Section, Table, publish
from benchmarks.timing import TimedTrainer
from detector.config import Hyperparameters
from detector.sample_data import write_sample
from detector.training import RungReport
from search.canvas import parse_canvas
from search.data_section import Data
from search.plan import Plan
from search.samplers import make_sampler, training_seed
from search.specification import Budget, DetectorSection, Specification
from spaces.faster_rcnn import Space

SCRIPT = "benchmarks.trial_share"
GENTLE_LR = 0.002  # the default may diverge from scratch on few images, which would end the trial that is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial and what it took, in seconds."""

    name: str
    hyperparameters: Hyperparameters
    ending: str
    images: int
    seconds: float
    reset_s: float
    training_steps_s: float
    evaluation_steps_s: float
    evaluation_s: float  # steps and all that turns them into AP
    checkpoints: int
    checkpoints_s: float
    first_step_s: float
    to_first_step_s: float  # from the end of the trial before until the first step begins …
    to_first_step_done_s: float  # … and until it is done
    traces: tuple[int, int]  # of the train and the evaluation step, so far
    resident_mib: float

    @property
    def other_share(self) -> float:
        return 1 - (self.training_steps_s + self.evaluation_steps_s) / self.seconds


class Session:
    """Trial after trial on one trainer."""

    def __init__(self, plan: Plan) -> None:
        began_s = time.perf_counter()
        self._plan = plan
        self.trainer = TimedTrainer(plan.setup)
        self.trials: list[Trial] = []
        self._ended_s = time.perf_counter()
        self.setup_s = self._ended_s - began_s

    def run(self, name: str, hyperparameters: Hyperparameters, rungs: Sequence[int]) -> None:
        """A trial through the rungs, which the watch may end before."""
        trainer, number = self.trainer, len(self.trials)
        began_s = time.perf_counter()
        trainer.begin(
            hyperparameters,
            seed=training_seed(self._plan.seed, number),
            budget_images=rungs[-1],
            directory=self._plan.trial_directory(number),
        )
        reset_s = time.perf_counter() - began_s
        for rung in rungs:
            report = trainer.advance(rung, lambda progress: None, lambda: False)
            if not isinstance(report, RungReport):
                break
        before_s, self._ended_s = self._ended_s, time.perf_counter()
        first = trainer.timed_train.spans.since(began_s)[0]
        checkpoints = trainer.checkpoints.since(began_s)
        self.trials.append(
            Trial(
                name=name,
                hyperparameters=hyperparameters,
                ending=f"AP {report.ap:.3f}" if isinstance(report, RungReport) else str(report),
                images=trainer_images(trainer, hyperparameters, began_s),
                seconds=self._ended_s - began_s,
                reset_s=reset_s,
                training_steps_s=trainer.timed_train.spans.seconds_since(began_s),
                evaluation_steps_s=trainer.timed_predict.spans.seconds_since(began_s),
                evaluation_s=trainer.evaluations.seconds_since(began_s),
                checkpoints=len(checkpoints),
                checkpoints_s=sum(span.seconds for span in checkpoints),
                first_step_s=first.seconds,
                to_first_step_s=first.began_s - before_s,
                to_first_step_done_s=first.ended_s - before_s,
                traces=(trainer.timed_train.traces, trainer.timed_predict.traces),
                resident_mib=resident_mib(),
            )
        )
