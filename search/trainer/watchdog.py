"""How long a trainer may go without a step before it counts as hung: by its own pace, not by a fixed time.

A trainer that lives and even talks, but makes no step (a deadlocked input pipe, a device that hangs), would hold its
trial and its worker for ever. What counts is progress: figures of a later step, or an evaluation that has come further.
Saying the same again is none.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from search.trainer.protocol import MOST_STEPS_UNSAID, Event, Preparing, Started
from trial.reports import ProgressReport

REMEMBERED = 101  # intervals whose median is the pace
LONGEST_LOOK_S = 5.0  # a worker that was stopped or kept busy for longer could not have heard anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a trainer may be silent in what it does, and how long it may take to pause; tests use shorter ones."""

    first_step_s: float = 1800.0  # of a trainer: loads a checkpoint and compiles
    evaluation_s: float = 1800.0  # between two signs of an evaluation; its first compiles, and COCO AP comes at once
    step_floor_s: float = 120.0  # whatever the pace: files on a network may stall, and neighbours take the processor
    step_factor: float = 10.0  # times what the steps between two figures take by the trainer's median
    pause_s: float = 8.0  # with what follows it is 10 s, a third of the shortest notice that schedulers give


class Speed:
    """A trainer's own speed in seconds per image, over all its trials: batches differ, images do not."""

    def __init__(self) -> None:
        self._seconds_per_image: deque[float] = deque(maxlen=REMEMBERED)

    def note(self, *, images: int, seconds: float) -> None:
        self._seconds_per_image.append(seconds / images)

    @property
    def seconds_per_image(self) -> float | None:
        """The median, or None before any is known."""
        return median(self._seconds_per_image) if self._seconds_per_image else None


class Watchdog:
    """Watches one trial on one trainer. `heard` takes what the trainer says; `silent_s` against `limit_s` judges it.

    Time in which nobody called `look` counts for `LONGEST_LOOK_S` at most, so a worker that was asleep itself (SIGSTOP,
    a silent database) does not take its trainer for hung when it wakes up.
    """

    def __init__(
        self, speed: Speed, timeouts: Timeouts, *, batch_size: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.silent_s = 0.0  # since the last progress
        self._speed = speed
        self._timeouts = timeouts
        self._batch_size = batch_size
        self._clock = clock
        self._looked_at = clock()
        self._images = 0
        self._goal_images: int | None = None  # None: the trial begins, or is evaluated
        self._steps_began = False  # figures have come since the last command
        self._evaluated: tuple[str, int] | None = None

    @property
    def evaluating(self) -> bool:
        return self._goal_images is not None and self._images >= self._goal_images

    @property
    def limit_s(self) -> float:
        """How long the trainer may be silent in what it does now."""
        if self.evaluating:
            return self._timeouts.evaluation_s
        pace_s = self._speed.seconds_per_image
        if self._goal_images is None or pace_s is None:
            return self._timeouts.first_step_s
        usual_s = pace_s * self._batch_size * MOST_STEPS_UNSAID
        return max(self._timeouts.step_floor_s, self._timeouts.step_factor * usual_s)

    @property
    def bites(self) -> bool:
        """Whether the trainer has made no progress for too long."""
        self.look()
        return self.silent_s > self.limit_s

    def look(self) -> None:
        """Let the time since the last look count."""
        now = self._clock()
        self.silent_s += min(now - self._looked_at, LONGEST_LOOK_S)
        self._looked_at = now

    def advancing(self, to_images: int) -> None:
        """The trainer was told to train so far."""
        self._goal_images = to_images
        self._steps_began = False
        self._progressed()

    def heard(self, event: Event) -> None:
        """Take note of what the trainer says, if that is progress."""
        self.look()
        match event:
            case Started():
                self._images = event.images
                self._progressed()
            case ProgressReport() if event.images > self._images:
                if self._steps_began:  # else the silence was that of a compilation too
                    self._speed.note(images=event.images - self._images, seconds=self.silent_s)
                self._images, self._steps_began = event.images, True
                self._progressed()
            case Preparing() if self.evaluating and (event.stage, event.done) != self._evaluated:
                self._evaluated = (event.stage, event.done)
                self._progressed()
            case _:
                pass

    def _progressed(self) -> None:
        self.silent_s = 0.0
        self._looked_at = self._clock()
