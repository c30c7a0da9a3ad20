"""The real trainer with a clock: how long each of its parts took, without a change to what it does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import keras

from detector.backend import Compiled, to_host
from detector.setup import Setup
from detector.training.trainer import Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time on the monotonic clock, in seconds."""

    began_s: float
    ended_s: float

    @property
    def seconds(self) -> float:
        return self.ended_s - self.began_s


@dataclass(slots=True)
class Spans:
    """Every stretch of one kind, in the order in which they ended."""

    all: list[Span] = field(default_factory=list)

    @contextmanager
    def timed(self) -> Iterator[None]:
        began_s = time.perf_counter()
        yield
        self.all.append(Span(began_s=began_s, ended_s=time.perf_counter()))

    def since(self, moment_s: float) -> list[Span]:
        """Those that began at the moment or later."""
        return [span for span in self.all if span.began_s >= moment_s]


class TimedStep:
    """A compiled step that waits for its results.

    Waiting forbids the host to prepare the next batch meanwhile, so that on an accelerator a trial looks slower than it
    is and never faster.
    """

    def __init__(self, step: Compiled) -> None:
        self._step = step
        self.spans = Spans()

    @property
    def traces(self) -> int:
        return self._step.traces

    def __call__(self, *arguments: Any) -> Any:
        with self.spans.timed():
            results = self._step(*arguments)
            to_host(keras.tree.flatten(results)[-1])
        return results


class TimedTrainer(Trainer):
    """A trainer for that setup which keeps the times of its steps, evaluations and checkpoints."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.timed_train, self.timed_predict = TimedStep(self.train_step), TimedStep(self.predict_step)
        self.train_step = cast(Compiled, self.timed_train)
        self.predict_step = cast(Compiled, self.timed_predict)
        self.evaluations, self.checkpoints = Spans(), Spans()

    def evaluate(self, *on_stage: Any, **named: Any) -> dict[str, float]:
        with self.evaluations.timed():
            return super().evaluate(*on_stage, **named)

    def _begin_save(self, trial: Any) -> Any:
        with self.checkpoints.timed():
            return super()._begin_save(trial)

    def _finish_save(self, saving: Any) -> None:
        with self.checkpoints.timed():
            super()._finish_save(saving)
