"""One trial on one trainer: begin or go on, then from rung to rung, until it has a verdict."""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from search.trainer.exits import Position
from search.trainer.link import TrainerLink
from search.trainer.protocol import Advance, Event, Pause, Preparing, ProtocolError, Start, Started
from search.trainer.watchdog import Timeouts, Watchdog
from trial.outcome import Outcome
from trial.reports import PausedReport, ProgressReport, RungReport, Warned
from trial.verdict import WARNINGS, Verdict

POLL_S = 0.2

Told = Callable[[Preparing | None], None]  # what a trainer is busy with that is no training step; None: it steps
AnyEvent = TypeVar("AnyEvent", Started, RungReport)

logger = logging.getLogger(__name__)


def unheard(state: Preparing | None) -> None:
    """Nobody wants to know what the trainer is busy with."""


class Recorder(Protocol):
    """Where a trial's figures go. Each method may raise `LeaseLost`: then nobody wants this run any more."""

    def reported(self) -> dict[int, float]:
        """AP by rung, from an earlier life of this trial."""
        ...

    def progress(self, progress: ProgressReport) -> None: ...

    def rung(self, rung: RungReport, budget_images: int) -> None:
        """Store an evaluation; `budget_images` is the rung's nominal count, equal for all trials."""
        ...

    def outcome_at(self, rung: int) -> Outcome | None:
        """The outcome with which the trial stops at a rung that it has reported; None where it goes on."""
        ...


class Interrupted(Exception):
    """The run was asked to stop; a trainer that did not pause in time is to be killed."""

    def __init__(self, *, paused: bool) -> None:
        self.paused = paused
        super().__init__("paused" if paused else "the trainer did not pause in time")


class TrialRun:
    """Drives a trainer through one trial. `position` says how far it came, also after an exception.

    `check` is called often and raises `LeaseLost` as soon as a heartbeat has met it. `told` hears what the trainer is
    busy with that is no step, and None once it steps again.
    """

    def __init__(
        self,
        link: TrainerLink,
        recorder: Recorder,
        stop: threading.Event,
        *,
        check: Callable[[], None],
        timeouts: Timeouts | None = None,
        told: Told = unheard,
    ) -> None:
        self._link = link
        self._recorder = recorder
        self._stop = stop
        self._check = check
        self._timeouts = timeouts or Timeouts()
        self._told = told
        self._busy = False
        self._pause_asked_at: float | None = None
        self._watchdog: Watchdog | None = None
        self._warned: dict[str, Warned] = {}
        self.position = Position()

    def run(self, start: Start, rungs: tuple[int, ...]) -> Verdict:
        """Train to the last of the rungs (nominal image counts), or to whatever ends the trial before.

        Raises:
            Interrupted: `stop` was set.
            TrainerLost: the trainer died, hung, or does not speak the protocol.
            LeaseLost: the trial is somebody else's.
        """
        return self._with_warnings(self._climb(start, rungs))

    def interrupted(self, message: str) -> Verdict:
        """The verdict on a trial that goes on later, from where it stands."""
        return self._verdict(Outcome.INTERRUPTED, "stopped", message)

    def settled(self) -> bool:
        """Whether the trainer can take another trial: a pause that came too late for this one is answered all the same.

        Waits for that answer, which the next trial must not hear.

        Raises:
            TrainerLost: it died meanwhile.
        """
        if self._pause_asked_at is None:
            return True
        until_s = self._pause_asked_at + self._timeouts.pause_s
        while time.monotonic() < until_s:
            if isinstance(self._link.poll(POLL_S), PausedReport):
                return True
        return False

    def _climb(self, start: Start, rungs: tuple[int, ...]) -> Verdict:
        done = self._recorder.reported()
        passed = max((rung for rung in rungs if rung in done), default=0)
        self.position = Position(images=passed)
        if passed and (verdict := self._judge(passed, done[passed], last=rungs[-1])):
            return verdict  # it was reported, but the worker died before the decision
        if (verdict := self._begin(start)) is not None:
            return verdict
        for rung in (rung for rung in rungs if rung > passed):
            result = self._advance(rung)
            if isinstance(result, Verdict):
                return result
            self.position = Position(step=result.step, images=result.images)
            if not math.isfinite(result.ap):
                return self._verdict(Outcome.DIVERGED, "ap", f"the validation AP is {result.ap}", ap=result.ap)
            self._recorder.rung(result, rung)
            if verdict := self._judge(rung, result.ap, last=rungs[-1]):
                return verdict
        raise ValueError(f"the last rung must end a trial, but {rungs} did not")

    def _begin(self, start: Start) -> Verdict | None:
        batch_size = start.hyperparameters.batch_size
        self._watchdog = Watchdog(self._link.speed, self._timeouts, batch_size=batch_size)
        self._link.send(start)
        started = self._await(Started)
        if isinstance(started, Verdict):
            return started
        self.position = Position(images=started.images)
        if started.images:
            logger.info("trial %d goes on after %d images", start.trial, started.images)
        return None

    def _advance(self, to_images: int) -> RungReport | Verdict:
        assert self._watchdog is not None  # a trial begins before it advances
        self._link.send(Advance(to_images=to_images))
        self._watchdog.advancing(to_images)
        return self._await(RungReport)

    def _judge(self, rung: int, ap: float, *, last: int) -> Verdict | None:
        if rung == last:
            return self._verdict(Outcome.COMPLETE, "", f"trained its budget of {rung} images; AP {ap:.4f}", ap=ap)
        outcome = self._recorder.outcome_at(rung)
        return None if outcome is None else self._verdict(outcome, "rung", _message(outcome, rung, ap), ap=ap)

    def _with_warnings(self, verdict: Verdict) -> Verdict:
        if not self._warned:
            return verdict
        lines = [f"{warned.rule} at step {warned.step}: {warned.message}" for warned in self._warned.values()]
        return replace(verdict, evidence={**verdict.evidence, WARNINGS: "\n".join(lines)})

    def _verdict(self, outcome: Outcome, cause: str, message: str, **evidence: float) -> Verdict:
        return Verdict(
            outcome=outcome,
            cause=cause,
            message=message,
            step=self.position.step,
            images=self.position.images,
            evidence=dict(evidence),
        )

    def _await(self, kind: type[AnyEvent]) -> AnyEvent | Verdict:
        """The next event of that kind, or the verdict that comes in its place; figures on the way are recorded."""
        while True:
            self._check()
            event = self._link.poll(POLL_S)
            if event is not None and self._watchdog is not None:
                self._watchdog.heard(event)
            if isinstance(event, kind | Verdict):
                self._tell(None)
                return event
            self._take(event)
            self._mind_the_clock()

    def _take(self, event: Event | None) -> None:
        match event:
            case ProgressReport():
                self._tell(None)
                self.position = Position(step=event.step, images=event.images)
                for warned in event.warnings:
                    self._warned.setdefault(warned.rule, warned)
                self._recorder.progress(event)
            case PausedReport() if self._pause_asked_at is not None:
                self.position = Position(step=self.position.step, images=event.images)
                raise Interrupted(paused=True)
            case Preparing():
                self._tell(event)
            case None:
                pass
            case _:
                raise ProtocolError(f"the trainer said {type(event).__name__} out of turn")

    def _tell(self, state: Preparing | None) -> None:
        if self._busy or state is not None:
            self._told(state)
        self._busy = state is not None

    def _mind_the_clock(self) -> None:
        now = time.monotonic()
        if self._stop.is_set() and self._pause_asked_at is None:
            self._pause_asked_at = now
            self._link.send(Pause())
        if self._pause_asked_at is not None and now - self._pause_asked_at > self._timeouts.pause_s:
            raise Interrupted(paused=False)
        if self._watchdog is not None and self._watchdog.bites:
            raise self._link.hung(self._watchdog.silent_s, self._watchdog.limit_s)


def _message(outcome: Outcome, rung: int, ap: float) -> str:
    """What happened at a rung."""
    if outcome is Outcome.PAUSED:
        return f"AP {ap:.4f} at {rung} images; it goes on if it is promoted"
    return f"AP {ap:.4f} is behind its peers at {rung} images"
