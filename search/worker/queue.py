"""Which trial is next: one that its worker left behind, else a new one, never more than the study asks for.

Workers of any number of machines take turns at this; claiming and asking are transactions (docs/decisions/0010).
"""

import contextlib
import enum
import logging
import shutil

import optuna
from optuna.trial import TrialState

from search.faults.crash_points import CrashPoint, crash_point
from search.faults.history import Deed, note
from search.plan import Plan
from search.policy.budget import read_spending, spends_budget, was_refused
from search.policy.feasibility import Screening
from search.policy.samplers import common_parameters
from search.worker.outage import Outage
from search.worker.outbox import Outbox
from search.worker.recorder import TrialJournal
from storage.box_samples import read_box_sample
from storage.connection.database import Database
from storage.connection.errors import LeaseHeld, LeaseLost, StorageUnavailable
from storage.leases import Leases
from storage.records import Lease, Turn
from storage.study import create_or_load_study
from trial.outcome import Verdict

LONGEST_TURN_S = 30.0  # a worker that dies in its turn holds the others up for so long

logger = logging.getLogger(__name__)


class Outlook(enum.StrEnum):
    """What a study holds for a worker."""

    WORK = "work"
    WAIT = "wait"  # others train the last trials; should they die, those are ours
    DONE = "done"


class TrialQueue:
    """One worker's view of what a study has left to do. Its trials are owned through leases of `lease_s`."""

    def __init__(self, database: Database, plan: Plan, *, worker: str, lease_s: float, outage: Outage) -> None:
        self._database = database
        self._plan = plan
        self._worker = worker
        self._lease_s = lease_s
        self._outage = outage
        self._study = self._load_study()
        self._common = common_parameters()
        self._leases = Leases(database, plan.study, duration_s=lease_s, turn_s=min(LONGEST_TURN_S, lease_s))
        self._screening = Screening(plan, read_box_sample(database, plan.study))

    def _load_study(self) -> optuna.Study:
        return create_or_load_study(self._database, self._plan.study, pruner=self._plan.make_pruner())

    def outlook(self) -> Outlook:
        """What there is to do, as far as one look tells."""
        spending = read_spending(self._database, self._plan.study)
        if spending.begun < self._plan.trials or self._left_behind():
            return Outlook.WORK
        return Outlook.WAIT if spending.running else Outlook.DONE

    def _left_behind(self) -> list[int]:
        """Trials without an owner. After an outage every lease has expired, and its owner may renew it first."""
        if self._outage.since_last_s < self._lease_s / 3:
            return []
        return self._leases.claimable()

    def next_trial(self) -> TrialJournal | None:
        """A trial that is ours from now on: one left behind, else a new one, else None. May be repeated.

        None also where the proposal was refused: then it has been told, and the next call asks anew.
        """
        with self._database.guarded():
            self._study.get_trials(deepcopy=False)  # before the turn: the first time it reads all of them
        try:
            with self._leases.turn(self._worker) as turn:
                lease = self._claim_one(turn)
                return None if lease is None else self._taken(lease)
        except LeaseLost as lost:  # of the turn: others had theirs meanwhile
            logger.warning("%s", lost)
            return None
        except StorageUnavailable:
            # a transaction that was undone has left its trials in the old one
            self._study, self._common = self._load_study(), common_parameters()
            raise

    def _claim_one(self, turn: Turn) -> Lease | None:
        for lease in self._leases.held():
            if lease.worker == self._worker:  # we train one at a time: this is a claim whose answer was lost
                return lease
        for number in self._left_behind():
            with contextlib.suppress(LeaseHeld), self._database.together():
                lease = self._leases.claim(number, self._worker)
                crash_point(CrashPoint.WITHIN_CLAIM)
                return lease
        return self._ask(turn)

    def _ask(self, turn: Turn) -> Lease | None:
        """Count, ask and claim in one transaction: all of it happened or nothing, also where the answer is lost."""
        with self._database.together(), self._database.guarded():
            self._leases.check_turn(turn)
            trials = self._study.get_trials(deepcopy=False)
            if sum(map(spends_budget, trials)) >= self._plan.trials:
                return None
            number = next((t.number for t in trials if t.state is TrialState.WAITING), len(trials))
            if number == len(trials) < len(self._plan.first_points):
                self._study.enqueue_trial(self._plan.first_points[number])
            self._study.sampler = self._sampler_of(number)
            trial = self._study.ask()
            crash_point(CrashPoint.AFTER_ASK)
            return self._leases.claim(trial.number, self._worker)

    def _sampler_of(self, number: int) -> optuna.samplers.BaseSampler:
        refused = sum(map(was_refused, self._before(number)))
        return self._plan.make_sampler(number, self._common, refused=refused)

    def _before(self, number: int) -> list[optuna.trial.FrozenTrial]:
        with self._database.guarded():
            return self._study.get_trials(deepcopy=False)[:number]

    def _existing(self, number: int) -> optuna.Trial:
        with self._database.guarded():
            self._study.sampler = self._sampler_of(number)
            return optuna.Trial(self._study, self._id_of(number))

    def _stored(self, number: int) -> optuna.trial.FrozenTrial:
        with self._database.guarded():
            return self._database.optuna.get_trial(self._id_of(number))

    def _id_of(self, number: int) -> int:
        return self._database.optuna.get_trial_id_from_study_id_trial_number(self._study._study_id, number)

    def _taken(self, lease: Lease) -> TrialJournal | None:
        """The trial with all of its parameters, unless these are not worth training: then it is told so, and None."""
        note(Deed.CLAIM, trial=lease.trial, token=lease.token)
        crash_point(CrashPoint.AFTER_CLAIM)
        verdict = self._suggested(lease)
        trial = self._existing(lease.trial)  # as it is stored, should a former owner have set some of it
        outbox = Outbox(self._plan.trial_directory(lease.trial), lease.token)
        journal = TrialJournal(
            self._database, self._study, trial, self._leases, lease, outbox=outbox, outage=self._outage
        )
        if verdict is None:
            return journal
        journal.finish(verdict)
        journal.deliver()
        logger.info("trial %d: %s (%s)", lease.trial, verdict.outcome, verdict.message)
        return None

    def _suggested(self, lease: Lease) -> Verdict | None:
        """Set the trial's parameters, within the turn: the next sampler sees what is tried. Then judge them."""
        with self._database.guarded():
            self._study.get_trials(deepcopy=False)  # Optuna writes parameters only of trials that it has listed
        if mistake := self._screening.mistake(self._stored(lease.trial)):
            return mistake
        with self._database.guarded():
            self._plan.space.suggest(self._existing(lease.trial))
        if not lease.is_first:
            return None  # its first owner may have trained it for long, by what was known then
        return self._screening.verdict(self._stored(lease.trial), self._before(lease.trial))

    def tidy(self) -> None:
        """Remove the checkpoints of trials that are over, except the best one's."""
        kept = self._plan.kept_trials()
        with self._database.guarded():
            trials = self._study.get_trials(deepcopy=False)
        complete = (trial for trial in trials if trial.state is TrialState.COMPLETE)
        best = max(complete, key=lambda trial: trial.value or 0.0, default=None)
        for trial in trials:
            if trial.number in kept and trial.state.is_finished() and trial is not best:
                shutil.rmtree(kept[trial.number], ignore_errors=True)
