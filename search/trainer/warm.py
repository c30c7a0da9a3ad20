"""A trainer that is kept from trial to trial, and replaced when it is lost."""

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from detector.setup import Setup
from search.trainer.exits import DiskFull, Position, SetupFailed, TrainerDied, TrainerLost, classify
from search.trainer.link import TrainerLink
from search.trainer.protocol import Preparing, Ready, Start
from search.trainer.run import Interrupted, Recorder, Told, TrialRun, unheard
from search.trainer.watchdog import Timeouts
from trial.outcome import Outcome
from trial.verdict import DISK_FULL, Verdict

SETUP_IDLE_LIMIT_S = 1800.0  # loading Keras, and building and compiling on a slow machine, say nothing meanwhile
SETUP_TRIES = 3  # of trainers that something kills; one that fails by itself would fail again
POLL_S = 0.2

STARTING = Preparing(stage="starting a trainer", done=0, total=1)

logger = logging.getLogger(__name__)


class WarmTrainer:
    """A trainer process that the first use starts; there is never more than one."""

    def __init__(
        self, kind: str, setup: Setup, *, log: Path, withheld: Collection[str] = (), told: Told = unheard
    ) -> None:
        self._kind = kind
        self._setup = setup
        self._log = log
        self._withheld = withheld
        self._told = told
        self._link: TrainerLink | None = None
        self.device = ""  # of the last trainer that was ready

    def ready(self, stop: threading.Event) -> TrainerLink | None:
        """A trainer that takes trials, or None when `stop` was set before one was ready.

        Raises:
            SetupFailed: the data or settings cannot be used, or the trainer died while it prepared.
            DiskFull: there is no room for its cache.
        """
        if self._link is not None and self._link.alive:
            return self._link
        for tries_left in reversed(range(SETUP_TRIES)):
            try:
                return self._start(stop)
            except TrainerLost as death:
                self.kill()
                if not (tries_left and _killed_from_outside(death)):
                    raise SetupFailed(classify(death, Position())) from death
                logger.warning("%s while it was set up; another is started", death)
        raise AssertionError("the last try returns or raises")

    def _start(self, stop: threading.Event) -> TrainerLink | None:
        self.kill()
        self._told(STARTING)
        self._link = TrainerLink(self._kind, log=self._log, withheld=self._withheld)
        self._link.send(self._setup)
        return self._link if self._await_ready(self._link, stop) else None

    def _await_ready(self, link: TrainerLink, stop: threading.Event) -> bool:
        while not stop.is_set():
            match link.poll(POLL_S):
                case Ready() as ready:
                    self.device = ready.device
                    self._told(None)
                    logger.info("the trainer is ready on %s after %.1f s", ready.device, ready.setup_s)
                    return True
                case Preparing() as state:
                    logger.info("%s", state)
                    self._told(state)
                case Verdict(cause=cause, message=message) if cause == DISK_FULL:
                    raise DiskFull(message)
                case Verdict() as verdict:
                    raise SetupFailed(verdict)
            if link.idle_s > SETUP_IDLE_LIMIT_S:
                raise link.hung()
        self.kill()
        return False

    def train(
        self,
        start: Start,
        rungs: tuple[int, ...],
        recorder: Recorder,
        stop: threading.Event,
        *,
        check: Callable[[], None] = lambda: None,
        timeouts: Timeouts | None = None,
    ) -> Verdict:
        """One trial, from where it stands to a verdict, whatever becomes of the trainer; see `TrialRun`.

        A trial that `stop` ended, or whose disk was full, is interrupted. A trainer that was lost, or that has shown
        itself unfit for another trial, is ended.

        Raises:
            SetupFailed, DiskFull: no trainer can be had.
        """
        link = self.ready(stop)
        if link is None:
            return Verdict(outcome=Outcome.INTERRUPTED, message="stopped before a trainer was ready")
        run = TrialRun(link, recorder, stop, check=check, timeouts=timeouts, told=self._told)
        try:
            verdict = run.run(start, rungs)
        except Interrupted as interruption:
            verdict, usable = run.interrupted(str(interruption)), interruption.paused
        except TrainerLost as loss:
            verdict = run.interrupted(str(loss)) if stop.is_set() else classify(loss, run.position)
            usable = False
        else:
            usable = _is_usable(run, verdict)
        if not usable:
            self.kill()  # only a new process has all its memory again
        return verdict

    def close(self) -> None:
        """Let the trainer leave, and give its memory back."""
        if self._link is not None:
            self._link.close()
        self._link = None

    def kill(self) -> None:
        """End the trainer at once; the next use starts another."""
        if self._link is not None:
            self._link.kill()
        self._link = None

    def abandon(self) -> None:
        """End the trainer, in a signal handler of a process that is about to end too."""
        if self._link is not None:
            self._link.abandon()


def _is_usable(run: TrialRun, verdict: Verdict) -> bool:
    """Whether the trainer may go on after that verdict."""
    if verdict.outcome is Outcome.OUT_OF_MEMORY or verdict.outcome.blameless or verdict.cause == DISK_FULL:
        return False
    with contextlib.suppress(TrainerLost):
        return run.settled()
    return False


def _killed_from_outside(death: TrainerLost) -> bool:
    return isinstance(death, TrainerDied) and death.returncode == -signal.SIGKILL and not death.killed_for_memory
