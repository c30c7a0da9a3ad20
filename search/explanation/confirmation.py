"""Replays a failed trial, and the same trial with its repair, by the trainer that the study uses; no study is written.

Both runs keep the seed and the whole schedule of the trial, and stop soon after the images at which it failed.
"""

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from detector.config import ConfigError, Hyperparameters, require
from detector.setup import Setup
from search.explanation.repair import Area, Repair
from search.explanation.repair_choice import repaired
from search.explanation.trial_explanation import TrialExplanation
from search.plan import Plan
from search.policy.samplers import training_seed
from search.report.plain import plain
from search.report.trial_history import TrialHistory, TrialRecord
from search.trainer.exits import SetupFailed
from search.trainer.protocol import Start
from search.trainer.warm import WarmTrainer
from trial.outcome import Outcome
from trial.reports import ProgressReport, RungReport
from trial.verdict import Verdict

BEYOND = 1.5  # times the images at which it failed …
LEAST_STEPS_BEYOND = 20  # … and so many steps more, a window of the watch


class Answer(StrEnum):
    """What a replay showed."""

    HOLDS = "the repair holds"  # it failed as before, and with the repair it did not
    FAILS_AGAIN = "the repair is not enough"  # both failed
    NOT_REPRODUCED = "not reproduced"  # it did not fail this time
    INCONCLUSIVE = "inconclusive"  # a run ended by something else


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """One run: how it ended, or None where it was healthy as far as it was to go; and its total loss by images."""

    images: int
    verdict: Verdict | None
    losses: tuple[tuple[int, float], ...]

    @property
    def failed(self) -> bool:
        return self.verdict is not None and self.verdict.outcome.infeasible

    def __str__(self) -> str:
        if self.verdict is None:
            return f"healthy after {self.images} images"
        return f"{self.verdict.outcome} at step {self.verdict.step}: {self.verdict.sentence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The two runs and what they show. The repaired one is None where the first left nothing to compare."""

    trial: int
    repair: Repair
    to_images: int
    answer: Answer
    sentence: str
    as_it_was: Replay
    with_repair: Replay | None

    def to_json(self) -> dict[str, Any]:
        """What `--json` adds to the trial's explanation."""
        as_it_was, with_repair = (
            run and {"failed": run.failed, **plain(run)} for run in (self.as_it_was, self.with_repair)
        )
        return {
            "answer": self.answer.name.lower(),
            "sentence": self.sentence,
            "to_images": self.to_images,
            "repair": plain(self.repair),
            "as_it_was": as_it_was,
            "with_repair": with_repair,
        }


def confirm(
    history: TrialHistory,
    explanation: TrialExplanation,
    *,
    folder: Path,
    images: int | None,
    stop: threading.Event,
    withheld: Sequence[str] = (),
) -> Confirmation:
    """Replay the trial and its repair; `folder` is the study's, whose image cache is used. Takes minutes at most.

    `images` is how far to go, unless that follows from where the trial failed.

    Raises:
        ConfigError: there is no repair that can be replayed, or the study's data can't be used here.
        KeyboardInterrupt: `stop` was set.
    """
    record, repair = explanation.record, _replayable(explanation)
    plan = Plan.of(history.specification, folder)
    before, after = _own(record), repaired(record, history, repair)
    to_images = min(plan.rungs[-1], images or _far_enough(record, before))
    per_cell = max(plan.setup.anchors_per_cell, before.anchors.per_cell, after.anchors.per_cell)
    setup = replace(plan.setup, anchors_per_cell=per_cell, watch=True)
    with tempfile.TemporaryDirectory(prefix="frcnn-confirm-") as scratch:
        replays = _Replays(plan, setup, Path(scratch), stop=stop, withheld=withheld)
        try:
            as_it_was = replays.run(record.number, before, "as-it-was", to_images)
            with_repair = replays.run(record.number, after, "with-repair", to_images) if as_it_was.failed else None
        finally:
            replays.close()
    answer, sentence = _answer(record, to_images, as_it_was, with_repair)
    return Confirmation(
        trial=record.number,
        repair=repair,
        to_images=to_images,
        answer=answer,
        sentence=sentence,
        as_it_was=as_it_was,
        with_repair=with_repair,
    )


class _Replays:
    """Runs with one warm trainer, one after the other."""

    def __init__(
        self, plan: Plan, setup: Setup, scratch: Path, *, stop: threading.Event, withheld: Sequence[str]
    ) -> None:
        self._plan = plan
        self._scratch = scratch
        self._stop = stop
        self._trainer = WarmTrainer(plan.specification.trainer, setup, log=scratch / "trainer.log", withheld=withheld)

    def run(self, trial: int, hyperparameters: Hyperparameters, name: str, to_images: int) -> Replay:
        """Train from the trial's start until so many images were seen, or to whatever ends it before."""
        halt = threading.Event()
        losses = _Losses(to_images, halt)
        start = Start(
            trial=trial,
            hyperparameters=hyperparameters,
            seed=training_seed(self._plan.specification.sampler.seed, trial),
            budget_images=self._plan.rungs[-1],
            directory=self._scratch / name,
        )
        verdict = self._verdict(start, losses, halt)
        if self._stop.is_set():
            raise KeyboardInterrupt
        healthy = verdict.outcome.healthy or not verdict.outcome.final
        return Replay(verdict=None if healthy else verdict, images=verdict.images, losses=tuple(losses.seen))

    def close(self) -> None:
        """End the trainer."""
        self._trainer.kill()

    def _verdict(self, start: Start, losses: "_Losses", halt: threading.Event) -> Verdict:
        def check() -> None:
            if self._stop.is_set():
                halt.set()

        try:
            if self._trainer.ready(self._stop) is None:
                return Verdict(outcome=Outcome.INTERRUPTED)
            return self._trainer.train(start, self._plan.rungs[-1:], losses, halt, check=check)
        except SetupFailed as failure:
            if failure.verdict.outcome is Outcome.BAD_DATA:
                raise ConfigError(failure.verdict.message) from failure
            return failure.verdict


class _Losses:
    """Keeps the losses of a replay, and halts it once it has gone far enough."""

    def __init__(self, to_images: int, halt: threading.Event) -> None:
        self._to_images = to_images
        self._halt = halt
        self.seen: list[tuple[int, float]] = []

    def reported(self) -> dict[int, float]:
        """The rungs that the trial passed before, of which a replay has none."""
        return {}

    def progress(self, progress: ProgressReport) -> None:
        """Keep the loss."""
        self.seen.append((progress.images, progress.figures.get("loss", float("nan"))))
        if progress.images >= self._to_images:
            self._halt.set()

    def rung(self, rung: RungReport, budget_images: int) -> None:
        """Ignore it: only the end of the budget is one, and its AP says nothing here."""

    def outcome_at(self, rung: int) -> None:
        """None: a replay goes on."""


def _replayable(explanation: TrialExplanation) -> Repair:
    number, repair = explanation.record.number, explanation.repair
    if not explanation.record.failed:
        raise ConfigError(f"trial {number} did not fail ({explanation.verdict}), so there is nothing to confirm")
    require(
        explanation.record.ending in (Outcome.DIVERGED, Outcome.NOT_LEARNING),
        f"trial {number} ended by {explanation.record.ending}, which no replay of its training shows",
    )
    if repair is None:
        raise ConfigError(f"trial {number} has no repair to confirm: its configuration is none of the study's space")
    require(
        repair.area is Area.PARAMETER,
        f"what should mend trial {number} is no parameter of it, so there is nothing to replay: {repair.instruction}",
    )
    return repair


def _own(record: TrialRecord) -> Hyperparameters:
    if record.hyperparameters is None:  # then it has no repair either
        raise ConfigError(f"the configuration of trial {record.number} is none of the study's space")
    return record.hyperparameters


def _far_enough(record: TrialRecord, hyperparameters: Hyperparameters) -> int:
    return max(round(BEYOND * record.images), record.images + LEAST_STEPS_BEYOND * hyperparameters.batch_size)


def _answer(record: TrialRecord, to_images: int, as_it_was: Replay, with_repair: Replay | None) -> tuple[Answer, str]:
    """What the runs show, with the reason."""
    if as_it_was.verdict is None and to_images < record.images:
        return Answer.INCONCLUSIVE, (
            f"the replay went to {to_images} images, but the trial was ended after {record.images}; give --images more"
        )
    if as_it_was.verdict is None:
        return Answer.NOT_REPRODUCED, f"the same configuration with the same seed stayed {as_it_was}"
    if with_repair is None:
        return Answer.INCONCLUSIVE, f"the replay ended otherwise than by a fault of the configuration: {as_it_was}"
    again = f"as it was, it failed again ({as_it_was})"
    if with_repair.verdict is None:
        return Answer.HOLDS, f"{again}; with the repair it stayed {with_repair}"
    if with_repair.failed:
        return Answer.FAILS_AGAIN, f"{again}; with the repair it failed too ({with_repair})"
    return Answer.INCONCLUSIVE, f"{again}; with the repair it ended otherwise: {with_repair}"
