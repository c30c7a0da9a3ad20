"""The loop: take a trial, train it, record how it ended, until the study has its trials.

Any number of workers, on any number of machines, share a study through its database alone. A trial that a worker left
behind, whether it was stopped or killed, is claimed by the next and goes on from its last checkpoint.
"""

import contextlib
import logging
import os
import secrets
import socket
import threading
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from search.exit_codes import ExitCode
from search.faults.history import HistoryEvent, note
from search.plan import Plan
from search.policy.samplers import training_seed
from search.trainer.exits import DiskFull, SetupFailed
from search.trainer.protocol import Start
from search.trainer.warm import WarmTrainer
from search.trainer.watchdog import Timeouts
from search.worker.heartbeat import Heartbeat
from search.worker.outage import GIVE_UP_S, Outage
from search.worker.paused_trials import HOST
from search.worker.presence import Presence
from search.worker.queue import Outlook, TrialQueue
from search.worker.recorder import TrialRecorder
from storage.connection.errors import LeaseLost, StorageUnavailable
from storage.study import StoredStudy
from trial.outcome import Outcome
from trial.verdict import DISK_FULL, HUNG, Verdict

MOST_CRASHES = 3  # a trial that lost so many trainers is not tried again
MOST_HANGS = 2  # nor one that cost so much waiting
SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.01, 1.0  # where there was work, but none to be had: each time twice as long

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times of a worker, in seconds; tests use shorter ones."""

    lease_s: float = 60.0
    wait_s: float = 2.0
    give_up_s: float = GIVE_UP_S  # of a database that is away
    timeouts: Timeouts = field(default_factory=Timeouts)


def worker_name() -> str:
    """A name that no other worker has or had, also where all containers are called alike and begin with process 1."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(5)}"


class Worker:
    """One supervisor with one trainer. `stop` ends it between two steps, with the trial kept for the next launch."""

    def __init__(
        self,
        study: StoredStudy,
        plan: Plan,
        *,
        stop: threading.Event,
        name: str = "",
        pace: Pace = Pace(),
        withheld: Collection[str] = (),
    ) -> None:
        self.name = name or worker_name()
        self._plan = plan
        self._stop = stop
        self._pace = pace
        self._outage = Outage(stop, give_up_s=pace.give_up_s)
        self._queue = TrialQueue(study, plan, worker=self.name, lease_s=pace.lease_s, outage=self._outage)
        self._presence = Presence(study, self.name, self._outage)
        log = plan.log_file(f"trainer-{self.name}")
        self._trainer = WarmTrainer(
            plan.specification.trainer, plan.setup, log=log, withheld=withheld, told=self._presence.busy
        )
        self._empty_handed_s = SHORTEST_WAIT_S

    def run(self) -> ExitCode:
        """Work until the study has its trials or `stop` is set.

        A database that is away is waited for. After `give_up_s` the worker parks: its trial is checkpointed, its
        results lie in the trial's outbox, and whoever sees the folder later brings them in.

        Raises:
            SetupFailed: no trainer can be had. A trial that was begun stays RUNNING, for the next launch.
            DiskFull: checkpoints or caches can't be written; likewise.
            StorageUnavailable: the database stayed away; likewise.
        """
        try:
            while not self._stop.is_set():
                match self._outage.insist(self._queue.outlook):
                    case Outlook.DONE:
                        return ExitCode.DONE
                    case Outlook.WAIT:
                        self._rest()
                    case Outlook.WORK:
                        self._work()
            return self._code_of_a_stop()
        finally:
            self._trainer.close()
            if not self._outage.on:
                with contextlib.suppress(StorageUnavailable):
                    self._presence.end()

    def abandon(self) -> None:
        """End the trainer at once, in a signal handler; this process must end then."""
        self._trainer.abandon()

    def _code_of_a_stop(self) -> ExitCode:
        """A stop may come after the last trial; but one because of the database asks it no further."""
        if not self._outage.on:
            with contextlib.suppress(StorageUnavailable):
                return ExitCode.DONE if self._queue.outlook() is Outlook.DONE else ExitCode.TRY_LATER
        return ExitCode.TRY_LATER

    def _rest(self) -> None:
        self._trainer.close()  # its memory is better used by those who train
        self._presence.show_idle(device=self._trainer.device, every_s=self._pace.lease_s / 6)
        self._stop.wait(self._pace.wait_s)

    def _work(self) -> None:
        self._presence.show(None, device=self._trainer.device)
        if self._trainer.ready(self._stop) is None:  # before asking: no trial waits for data to be decoded
            return
        trial = self._outage.insist(self._queue.next_trial)
        if trial is None:  # refused, or others were faster
            self._stop.wait(self._empty_handed_s)
            self._empty_handed_s = min(LONGEST_WAIT_S, 2 * self._empty_handed_s)
            return
        self._empty_handed_s = SHORTEST_WAIT_S
        self._carry_out(trial)

    def _carry_out(self, trial: TrialRecorder) -> None:
        """Bring one trial to its end, or leave it to whoever took it."""
        try:
            with Heartbeat(lambda: self._beat(trial), interval_s=self._pace.lease_s / 6) as heartbeat:
                verdict = self._outage.insist(trial.open) or self._train(trial, heartbeat)
                trial.finish(_recorded(verdict))
                if verdict.outcome is not Outcome.INTERRUPTED and not verdict.study_wide:
                    self._outage.insist(trial.deliver)
        except LeaseLost as lost:
            logger.error("trial %d: %s", trial.number, lost)
            note(HistoryEvent.DROP, trial=trial.number)
            self._trainer.kill()  # it must not write into a directory that is another's
            return
        self._conclude(trial.number, verdict)

    def _beat(self, trial: TrialRecorder) -> None:
        try:
            trial.renew()
        except StorageUnavailable as error:
            self._outage.met(error)
        else:
            self._outage.over()
            self._presence.show(trial, device=self._trainer.device)

    def _train(self, trial: TrialRecorder, heartbeat: Heartbeat) -> Verdict:
        """Train with one trainer after another, until one of them comes to a verdict."""

        def check() -> None:
            heartbeat.check()
            trial.catch_up()

        while True:
            try:
                verdict = self._trainer.train(
                    self._start_of(trial),
                    self._plan.rungs,
                    trial,
                    self._stop,
                    check=check,
                    timeouts=self._pace.timeouts,
                )
            except SetupFailed as failure:
                return replace(failure.verdict, study_wide=True)
            except DiskFull as full:
                return Verdict(outcome=Outcome.INTERRUPTED, cause=DISK_FULL, message=str(full))
            if verdict.outcome is not Outcome.CRASHED:
                return verdict
            lost = trial.count_crash(hung=verdict.cause == HUNG)
            if lost.count >= MOST_CRASHES or lost.hangs >= MOST_HANGS:
                return verdict
            logger.warning("trial %d is tried again: %s", trial.number, verdict.message)

    def _start_of(self, trial: TrialRecorder) -> Start:
        return Start(
            trial=trial.number,
            hyperparameters=self._plan.specification.hyperparameters(trial.number, trial.parameters),
            seed=training_seed(self._plan.specification.sampler.seed, trial.number),
            budget_images=self._plan.rungs[-1],
            directory=self._plan.trial_directory(trial.number),
            early_parts=self._plan.specification.pruner.pauses,
        )

    def _conclude(self, trial: int, verdict: Verdict) -> None:
        """What follows from how a trial ended: go on, or leave because no other trial would fare better."""
        logger.info("trial %d: %s %s (%s)", trial, verdict.outcome, verdict.cause, verdict.message)
        self._presence.is_news()
        if verdict.study_wide:
            raise SetupFailed(verdict)
        if verdict.cause == DISK_FULL:
            raise DiskFull(f"trial {trial} in {self._plan.folder}: {verdict.message}")
        if verdict.outcome is not Outcome.INTERRUPTED:
            with contextlib.suppress(StorageUnavailable):  # the next trial's end does it
                self._queue.tidy()


def _recorded(verdict: Verdict) -> Verdict:
    """What stands about a trial: one that ended by what every other would meet goes on once that was mended."""
    if verdict.outcome is Outcome.PAUSED:
        return replace(verdict, evidence={**verdict.evidence, HOST: socket.gethostname()})
    return replace(verdict, outcome=Outcome.INTERRUPTED) if verdict.study_wide else verdict
