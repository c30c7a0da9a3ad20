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
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from search.faults.history import Deed, note
from search.plan import Plan
from search.policy.samplers import training_seed
from search.trainer.exits import DISK_FULL, HUNG, DiskFull, Position, TrainerDied, TrainerHung
from search.trainer.link import TrainerLink
from search.trainer.protocol import ProtocolError, Start
from search.trainer.run import Interrupted, TrialRun
from search.trainer.warm import SetupFailed, WarmTrainer, verdict_of
from search.trainer.watchdog import Timeouts
from search.worker.heartbeat import Heartbeat
from search.worker.outage import GIVE_UP_S, Outage
from search.worker.queue import Outlook, TrialQueue
from search.worker.recorder import TrialJournal
from storage.connection.database import Database
from storage.connection.errors import LeaseLost, StorageUnavailable
from storage.outages import record_outage
from storage.workers import gone, seen
from trial.outcome import FAULTS, Outcome, Verdict

DONE, TRY_LATER = 0, 75  # exit codes
MOST_CRASHES = 3  # a trial that lost so many trainers is not tried again
MOST_HANGS = 2  # nor one that cost so much waiting

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
        database: Database,
        plan: Plan,
        *,
        stop: threading.Event,
        name: str = "",
        pace: Pace = Pace(),
        withheld: Collection[str] = (),
    ) -> None:
        self.name = name or worker_name()
        self._database = database
        self._plan = plan
        self._stop = stop
        self._pace = pace
        self._outage = Outage(stop, give_up_s=pace.give_up_s)
        self._outages_told = 0
        self._said_at = float("-inf")
        self._queue = TrialQueue(database, plan, worker=self.name, lease_s=pace.lease_s, outage=self._outage)
        log = plan.log_file(f"trainer-{self.name}")
        self._trainer = WarmTrainer(plan.trainer, plan.setup, log=log, withheld=withheld)

    def run(self) -> int:
        """Work until the study has its trials or `stop` is set. Returns the exit code.

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
                        return DONE
                    case Outlook.WAIT:
                        self._rest()
                    case Outlook.WORK:
                        self._work()
            return self._code_of_a_stop()
        finally:
            self._trainer.close()
            if not self._outage.on:
                with contextlib.suppress(StorageUnavailable):
                    self._tell_outages()
                    gone(self._database, self._plan.study, self.name)

    def abandon(self) -> None:
        """End the trainer at once, in a signal handler; this process must end then."""
        self._trainer.abandon()

    def _code_of_a_stop(self) -> int:
        """A stop may come after the last trial; but one because of the database asks it no further."""
        if not self._outage.on:
            with contextlib.suppress(StorageUnavailable):
                return DONE if self._queue.outlook() is Outlook.DONE else TRY_LATER
        return TRY_LATER

    def _rest(self) -> None:
        self._trainer.close()  # its memory is better used by those who train
        if time.monotonic() - self._said_at > self._pace.lease_s / 6:
            self._say_what_we_do(None)
        self._stop.wait(self._pace.wait_s)

    def _work(self) -> None:
        self._say_what_we_do(None)
        link = self._trainer.ready(self._stop)  # before asking: no trial waits for data to be decoded
        if link is not None and (journal := self._outage.insist(self._queue.next_trial)):
            self._carry_out(journal, link)

    def _carry_out(self, journal: TrialJournal, link: TrainerLink) -> None:
        """Bring one trial to its end, or leave it to whoever took it."""

        def beat() -> None:
            try:
                journal.renew()
            except StorageUnavailable as error:
                self._outage.met(error)
            else:
                self._outage.over()
                self._say_what_we_do(journal)

        self._say_what_we_do(journal)
        try:
            with Heartbeat(beat, interval_s=self._pace.lease_s / 6) as heartbeat:
                verdict = self._outage.insist(journal.open) or self._train(journal, link, heartbeat)
                if verdict.study_wide:
                    raise SetupFailed(verdict)
                journal.finish(verdict)
                if verdict.outcome is not Outcome.INTERRUPTED:
                    self._outage.insist(journal.deliver)
        except (SetupFailed, DiskFull) as failure:
            journal.finish(_left_by(failure))
            raise
        except LeaseLost as lost:
            logger.error("trial %d: %s", journal.number, lost)
            note(Deed.DROP, trial=journal.number)
            self._trainer.kill()  # it must not write into a directory that is another's
            return
        self._conclude(journal.number, verdict)

    def _conclude(self, trial: int, verdict: Verdict) -> None:
        logger.info("trial %d: %s %s (%s)", trial, verdict.outcome, verdict.cause, verdict.message)
        self._said_at = float("-inf")  # whatever comes next is news
        if verdict.cause == DISK_FULL:
            raise DiskFull(f"trial {trial} in {self._plan.folder}: {verdict.message}")
        if verdict.outcome is not Outcome.INTERRUPTED:
            with contextlib.suppress(StorageUnavailable):  # the next trial's end does it
                self._queue.tidy()

    def _train(self, journal: TrialJournal, link: TrainerLink | None, heartbeat: Heartbeat) -> Verdict:
        """Train with one trainer after another, until one of them comes to a verdict."""
        while link is not None:
            verdict = self._attempt(journal, link, heartbeat)
            if verdict.outcome is Outcome.OUT_OF_MEMORY or verdict.outcome in FAULTS or verdict.cause == DISK_FULL:
                self._trainer.kill()  # only a new process has all its memory and its wits
            if verdict.outcome is not Outcome.CRASHED:
                return verdict
            lost = journal.count_crash(hung=verdict.cause == HUNG)
            if lost.count >= MOST_CRASHES or lost.hangs >= MOST_HANGS:
                return verdict
            logger.warning("trial %d is tried again: %s", journal.number, verdict.message)
            link = self._trainer.ready(self._stop)
        return Verdict(outcome=Outcome.INTERRUPTED, message="stopped before a new trainer was ready")

    def _attempt(self, journal: TrialJournal, link: TrainerLink, heartbeat: Heartbeat) -> Verdict:
        def check() -> None:
            heartbeat.check()
            journal.catch_up()

        run = TrialRun(link, journal, self._stop, check=check, timeouts=self._pace.timeouts)
        try:
            return run.run(self._start_of(journal), self._plan.rungs)
        except Interrupted as interruption:
            if not interruption.paused:
                self._trainer.kill()
            return _interrupted(run.position, str(interruption))
        except (TrainerDied, TrainerHung, ProtocolError) as death:
            self._trainer.kill()
            if self._stop.is_set():
                return _interrupted(run.position, str(death))
            return verdict_of(death, run.position)

    def _start_of(self, journal: TrialJournal) -> Start:
        return Start(
            trial=journal.number,
            hyperparameters=self._plan.space.configuration(journal.trial.params),
            seed=training_seed(self._plan.seed, journal.number),
            budget_images=self._plan.budget_images,
            directory=self._plan.trial_directory(journal.number),
        )

    def _say_what_we_do(self, journal: TrialJournal | None) -> None:
        latest = journal.latest if journal else None
        self._said_at = time.monotonic()
        try:
            seen(
                self._database,
                self._plan.study,
                self.name,
                host=socket.gethostname(),
                pid=os.getpid(),
                device=self._trainer.device,
                trial=journal.number if journal else None,
                images=latest.images if latest else 0,
                images_per_s=latest.images_per_s if latest else 0.0,
            )
            self._tell_outages()
        except StorageUnavailable as error:  # nobody can look meanwhile either
            self._outage.met(error)

    def _tell_outages(self) -> None:
        """Put on record which outages this worker has survived since it told the last time."""
        survived = self._outage.survived
        while (number := self._outages_told) < len(survived):
            over = survived[number]
            record_outage(
                self._database,
                self._plan.study,
                self.name,
                number=number + 1,
                lasted_s=over.lasted_s,
                ended_s_ago=time.monotonic() - over.ended_s,
            )
            self._outages_told = number + 1


def _interrupted(position: Position, message: str) -> Verdict:
    return Verdict(
        outcome=Outcome.INTERRUPTED, message=message, step=position.step, images=position.images, cause="stopped"
    )


def _left_by(failure: SetupFailed | DiskFull) -> Verdict:
    """What stands about a trial that no trainer can go on with."""
    if isinstance(failure, SetupFailed):
        return replace(failure.verdict, outcome=Outcome.INTERRUPTED)
    return Verdict(outcome=Outcome.INTERRUPTED, message=str(failure))
