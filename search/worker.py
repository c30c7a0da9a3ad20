"""The loop: take a trial, train it, record how it ended, until the study has its trials.

Any number of workers, on any number of machines, share a study through its database alone. A trial that a worker left
behind, whether it was stopped or killed, is claimed by the next and goes on from its last checkpoint.
"""

import contextlib
import enum
import logging
import os
import secrets
import shutil
import socket
import threading
from collections.abc import Collection
from dataclasses import dataclass, field

import optuna
from optuna.trial import TrialState

from search.crash_points import CrashPoint, crash_point
from search.deaths import Position, TrainerDied, TrainerHung
from search.heartbeat import Heartbeat
from search.history import Deed, note
from search.journal import TrialJournal
from search.outage import GIVE_UP_S, Outage
from search.outbox import Outbox
from search.outcomes import FAULTS, Outcome, Verdict
from search.plan import Plan
from search.protocol import ProtocolError, Start
from search.pruning import BEGUN
from search.samplers import training_seed
from search.trainer_link import TrainerLink
from search.trial_run import Interrupted, Limits, TrialRun
from search.warm_trainer import SetupFailed, WarmTrainer, verdict_of
from storage.database import Database
from storage.errors import LeaseHeld, LeaseLost, StorageUnavailable
from storage.leases import Leases
from storage.records import Lease, Turn
from storage.studies import create_or_load_study
from storage.workers import gone, seen

DONE, TRY_LATER = 0, 75  # exit codes
LONGEST_TURN_S = 30.0  # a worker that dies in its turn holds the others up for so long
MOST_CRASHES = 3  # a trial that lost so many trainers is not tried again

logger = logging.getLogger(__name__)


class Outlook(enum.StrEnum):
    """What a study holds for a worker."""

    WORK = "work"
    WAIT = "wait"  # others train the last trials; should they die, those are ours
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times of a worker, in seconds; tests use shorter ones."""

    lease_s: float = 60.0
    wait_s: float = 2.0
    give_up_s: float = GIVE_UP_S  # of a database that is away
    limits: Limits = field(default_factory=Limits)


def worker_name() -> str:
    """A name that no other worker has or had."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


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
        self._study = self._load_study()
        turn_s = min(LONGEST_TURN_S, pace.lease_s)
        self._leases = Leases(database, plan.study, duration_s=pace.lease_s, turn_s=turn_s)
        log = plan.log_file(f"trainer-{self.name}")
        self._trainer = WarmTrainer(plan.trainer, plan.setup, log=log, withheld=withheld)

    def run(self) -> int:
        """Work until the study has its trials or `stop` is set. Returns the exit code.

        A database that is away is waited for. After `give_up_s` the worker parks: its trial is checkpointed, its
        results lie in the trial's outbox, and whoever sees the folder later brings them in.

        Raises:
            SetupFailed: no trainer can be had. A trial that was begun stays RUNNING, for the next launch.
            StorageUnavailable: the database stayed away; likewise.
        """
        try:
            while not self._stop.is_set():
                match self._outage.insist(self._outlook):
                    case Outlook.DONE:
                        return DONE
                    case Outlook.WAIT:
                        self._trainer.close()  # its memory is better used by those who train
                        self._stop.wait(self._pace.wait_s)
                    case Outlook.WORK:
                        self._work()
            return self._code_of_a_stop()
        finally:
            self._trainer.close()
            if not self._outage.on:
                with contextlib.suppress(StorageUnavailable):
                    gone(self._database, self._plan.study, self.name)

    def abandon(self) -> None:
        """End the trainer at once, in a signal handler; this process must end then."""
        self._trainer.abandon()

    def _code_of_a_stop(self) -> int:
        """A stop may come after the last trial; but one because of the database asks it no further."""
        if not self._outage.on:
            with contextlib.suppress(StorageUnavailable):
                return DONE if self._outlook() is Outlook.DONE else TRY_LATER
        return TRY_LATER

    def _load_study(self) -> optuna.Study:
        return create_or_load_study(self._database, self._plan.study, pruner=self._plan.make_pruner())

    def _work(self) -> None:
        self._say_what_we_do(None)
        link = self._trainer.ready(self._stop)  # before asking: no trial waits for data to be decoded
        if link is not None and (journal := self._outage.insist(self._next_trial)):
            self._carry_out(journal, link)

    def _outlook(self) -> Outlook:
        with self._database.guarded():
            trials = self._study.get_trials(deepcopy=False, states=BEGUN)
        if len(trials) < self._plan.trials or self._left_behind():
            return Outlook.WORK
        return Outlook.WAIT if any(trial.state is TrialState.RUNNING for trial in trials) else Outlook.DONE

    def _left_behind(self) -> list[int]:
        """Trials without an owner. After an outage every lease has expired, and its owner may renew it first."""
        if self._outage.since_last_s < self._pace.lease_s / 3:
            return []
        return self._leases.claimable()

    def _next_trial(self) -> TrialJournal | None:
        """A trial that is ours from now on: one left behind, else a new one, else None. May be repeated."""
        try:
            with self._leases.turn(self.name) as turn:
                lease = self._claim_one(turn)
                return None if lease is None else self._take(lease)
        except LeaseLost as lost:  # of the turn: others had theirs meanwhile
            logger.warning("%s", lost)
            return None
        except StorageUnavailable:
            self._study = self._load_study()  # a transaction that was undone has left its trials in the old one
            raise

    def _claim_one(self, turn: Turn) -> Lease | None:
        for lease in self._leases.held():
            if lease.worker == self.name:  # we train one at a time: this is a claim whose answer was lost
                return lease
        for number in self._left_behind():
            with contextlib.suppress(LeaseHeld):
                return self._leases.claim(number, self.name)
        return self._ask(turn)

    def _ask(self, turn: Turn) -> Lease | None:
        """Count, ask and claim in one transaction: all of it happened or nothing, also where the answer is lost."""
        with self._database.together(), self._database.guarded():
            self._leases.check_turn(turn)
            trials = self._study.get_trials(deepcopy=False)
            if sum(trial.state in BEGUN for trial in trials) >= self._plan.trials:
                return None
            number = next((t.number for t in trials if t.state is TrialState.WAITING), len(trials))
            if number == len(trials) < len(self._plan.first_points):
                self._study.enqueue_trial(self._plan.first_points[number])
            self._study.sampler = self._plan.make_sampler(number)
            trial = self._study.ask()
            crash_point(CrashPoint.AFTER_ASK)
            return self._leases.claim(trial.number, self.name)

    def _existing(self, number: int) -> optuna.Trial:
        with self._database.guarded():
            self._study.sampler = self._plan.make_sampler(number)
            trial_id = self._database.optuna.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
            return optuna.Trial(self._study, trial_id)

    def _take(self, lease: Lease) -> TrialJournal:
        note(Deed.CLAIM, trial=lease.trial, token=lease.token)
        crash_point(CrashPoint.AFTER_CLAIM)
        with self._database.guarded():
            self._study.get_trials(deepcopy=False)  # Optuna writes parameters only of trials that it has listed
            self._plan.space.suggest(
                self._existing(lease.trial)
            )  # within the turn: the next sampler sees what is tried
        trial = self._existing(lease.trial)  # as it is stored, should a former owner have set some of it
        outbox = Outbox(self._plan.trial_directory(lease.trial), lease.token)
        return TrialJournal(self._database, self._study, trial, self._leases, lease, outbox=outbox, outage=self._outage)

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
                journal.finish(verdict)
                if verdict.outcome is not Outcome.INTERRUPTED:
                    self._outage.insist(journal.deliver)
        except SetupFailed:
            journal.finish(Verdict(outcome=Outcome.INTERRUPTED, message="no new trainer could be had"))
            raise
        except LeaseLost as lost:
            logger.error("trial %d: %s", journal.number, lost)
            note(Deed.DROP, trial=journal.number)
            self._trainer.kill()  # it must not write into a directory that is another's
            return
        logger.info("trial %d: %s %s (%s)", journal.number, verdict.outcome, verdict.cause, verdict.message)
        if verdict.outcome is not Outcome.INTERRUPTED:
            with contextlib.suppress(StorageUnavailable):  # the next trial's end does it
                self._tidy()

    def _train(self, journal: TrialJournal, link: TrainerLink | None, heartbeat: Heartbeat) -> Verdict:
        """Train with one trainer after another, until one of them comes to a verdict."""
        while link is not None:
            verdict = self._attempt(journal, link, heartbeat)
            if verdict.outcome is Outcome.OUT_OF_MEMORY or verdict.outcome in FAULTS:
                self._trainer.kill()  # only a new process has all its memory and its wits
            if verdict.outcome is not Outcome.CRASHED or journal.count_crash() >= MOST_CRASHES:
                return verdict
            logger.warning("trial %d is tried again: %s", journal.number, verdict.message)
            link = self._trainer.ready(self._stop)
        return Verdict(outcome=Outcome.INTERRUPTED, message="stopped before a new trainer was ready")

    def _attempt(self, journal: TrialJournal, link: TrainerLink, heartbeat: Heartbeat) -> Verdict:
        def check() -> None:
            heartbeat.check()
            journal.catch_up()

        run = TrialRun(link, journal, self._stop, check=check, limits=self._pace.limits)
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
        except StorageUnavailable as error:  # nobody can look meanwhile either
            self._outage.met(error)

    def _tidy(self) -> None:
        """Remove the checkpoints of trials that are over, except the best one's."""
        with self._database.guarded():
            trials = self._study.get_trials(deepcopy=False)
            complete = [t for t in trials if t.state is TrialState.COMPLETE]
        best = max(complete, key=lambda trial: trial.value or 0.0, default=None)
        for trial in trials:
            if trial.state.is_finished() and trial is not best:
                shutil.rmtree(self._plan.trial_directory(trial.number), ignore_errors=True)


def _interrupted(position: Position, message: str) -> Verdict:
    return Verdict(
        outcome=Outcome.INTERRUPTED, message=message, step=position.step, images=position.images, cause="stopped"
    )
