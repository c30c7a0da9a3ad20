"""Which trial is next: one that its worker left behind, else one that is promoted, else a new one.

Workers of any number of machines take turns at this; what they claim, promote and ask for are transactions
(docs/decisions/0010).
"""

import contextlib
import enum
import logging
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from search.faults.crash_points import CrashPoint, crash_point
from search.plan import Plan
from search.policy.budget import read_spending
from search.policy.course import Course
from search.policy.promotion import last_rung
from search.policy.pruning import make_pruner
from search.policy.schedule import Step
from search.policy.settlement import keep_settlement
from search.worker.asker import Asker
from search.worker.handover import Handover
from search.worker.outage import Outage
from search.worker.paused_trials import PausedTrials
from search.worker.recorder import TrialRecorder
from storage.connection.errors import LeaseHeld, LeaseLost
from storage.leases import Leases
from storage.outcomes import outcomes_by_trial, record_others_ends
from storage.records import Lease, Turn
from storage.standings import left_behind
from storage.study import StoredStudy, best_complete
from storage.study_view import StudyView
from trial.outcome import Outcome

LONGEST_TURN_S = 30.0  # a worker that dies in its turn holds the others up for so long
ROOM = 4  # taking a trial is at most a part so large of a lease

logger = logging.getLogger(__name__)


class Outlook(enum.StrEnum):
    """What a study holds for a worker."""

    WORK = "work"
    WAIT = "wait"  # others train the last trials; should they die, those are ours
    DONE = "done"


class TrialQueue:
    """One worker's view of what a study has left to do. Its trials are owned through leases of `lease_s`."""

    def __init__(self, study: StoredStudy, plan: Plan, *, worker: str, lease_s: float, outage: Outage) -> None:
        self._study = study
        self._plan = plan
        self._worker = worker
        self._lease_s = lease_s
        self._outage = outage
        specification = plan.specification
        self._view = StudyView(study, pruner=make_pruner(specification.pruner, rungs=plan.rungs))
        self._leases = Leases(study, duration_s=lease_s, turn_s=min(LONGEST_TURN_S, lease_s))
        self._paused = PausedTrials(study, plan, self._view)
        self._handover = Handover(study, plan, self._view, self._leases, outage)
        self._asker = Asker(study, plan, self._view, self._leases, self._handover, worker=worker)

    def outlook(self) -> Outlook:
        """What there is to do, as far as one look tells. What others ended meanwhile gets its outcome."""
        spending = read_spending(self._study)
        if spending.ended_elsewhere:
            record_others_ends(self._study)
        if self._left_behind():
            return Outlook.WORK
        budget = self._plan.specification.budget
        bounded_by_trials = budget.trainings is None and not budget.until_settled
        if spending.begun < self._plan.specification.trials and bounded_by_trials:
            return Outlook.WORK
        match self._paused.move(self._course()).step:
            case Step.WAIT:
                return Outlook.WAIT
            case Step.END if not spending.paused:
                return Outlook.DONE
            case _:
                return Outlook.WORK

    def _course(self) -> Course:
        outcomes = outcomes_by_trial(self._study)
        self._view.know_paused(trial for trial, outcome in outcomes.items() if outcome is Outcome.PAUSED)
        return self._paused.course(outcomes)

    def _left_behind(self) -> list[int]:
        """Trials without an owner. After an outage every lease has expired, and its owner may renew it first."""
        if self._outage.since_last_s < self._lease_s / 3:
            return []
        return left_behind(self._study)

    def next_trial(self) -> TrialRecorder | None:
        """A trial that is ours from now on: left behind, promoted or new; else None. May be repeated.

        None also where the proposal was refused: then it has been told, and the next call asks anew.
        """
        self._view.refresh()  # before the turn: the first time it reads all trials
        try:
            with self._leases.turn(self._worker) as turn, self._timed():
                lease = self._claim_one()
                return self._asker.taken_over(lease) if lease is not None else self._next(turn)
        except LeaseLost as lost:  # of the turn: others had theirs meanwhile
            logger.warning("%s", lost)
            return None

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Make leases and turns longer where the block took a large part of one: this machine is slow, or very busy.

        Else a trial would go from hand to hand, each worker losing it before it could begin.
        """
        began_s = time.monotonic()
        try:
            yield
        finally:
            took_s = time.monotonic() - began_s
            if took_s * ROOM > self._leases.duration_s:
                logger.warning(
                    "taking a trial took %.1f s, too long for leases of %.1f s: this worker's last %.1f s from now on",
                    *(took_s, self._leases.duration_s, took_s * ROOM),
                )
                self._leases.duration_s = took_s * ROOM
                self._leases.turn_s = max(self._leases.turn_s, min(LONGEST_TURN_S, took_s * ROOM))

    def _claim_one(self) -> Lease | None:
        """A trial that was begun: one of ours, or one that nobody owns."""
        for lease in self._leases.held():
            if lease.worker == self._worker:  # we train one at a time: this is a claim whose answer was lost
                return lease
        for number in self._left_behind():
            with contextlib.suppress(LeaseHeld), self._study.database.together():
                lease = self._leases.claim(number, self._worker)
                crash_point(CrashPoint.WITHIN_CLAIM)
                return lease
        return None

    def _next(self, turn: Turn) -> TrialRecorder | None:
        """What the study's schedule says: a promoted trial, or a new one; None where there is nothing to train now."""
        course = self._course()
        move = self._paused.move(course)
        match move.step:
            case Step.PROMOTE:
                assert move.trial is not None  # a promotion is of a trial
                return self._promote(turn, move.trial, from_rung=last_rung(course.values[move.trial]))
            case Step.NEW:
                self._outrank(turn, self._paused.surplus(course))
                return None if self._settles(turn, course) else self._asker.ask(turn)
            case Step.END:
                self._outrank(turn, course.waiting)
                self.tidy()
        return None

    def _settles(self, turn: Turn, course: Course) -> bool:
        """Whether the study needs no new trial any more; that is kept, for all workers."""
        if not self._plan.specification.budget.until_settled:
            return False
        found = self._asker.settlement(course.begun)
        if found is not None:
            logger.info("the study is %s", found)
            with self._study.database.together():
                self._leases.check_turn(turn)
                keep_settlement(self._study, found)
        return found is not None

    def _promote(self, turn: Turn, number: int, *, from_rung: int) -> TrialRecorder | None:
        with contextlib.suppress(LeaseHeld):
            lease = self._claim(turn, number)
            logger.info("trial %d goes on from %d images", number, from_rung)
            return self._handover.taken(lease, self._view.stored_trial(number), promoted_from=from_rung)
        return None

    def _outrank(self, turn: Turn, numbers: Iterable[int]) -> None:
        """End trials that will never be promoted."""
        for number in numbers:
            with contextlib.suppress(LeaseHeld):
                lease = self._claim(turn, number)
                self._handover.told(lease, self._view.stored_trial(number), self._paused.farewell(number))

    def _claim(self, turn: Turn, number: int) -> Lease:
        with self._study.database.together():
            self._leases.check_turn(turn)
            lease = self._leases.claim(number, self._worker)
            crash_point(CrashPoint.WITHIN_CLAIM)
            return lease

    def tidy(self) -> None:
        """Remove the checkpoints of trials that are over, except the best one's, and what paused ones have too many."""
        kept = self._plan.kept_trials()
        best = best_complete(self._study)
        for trial in self._view.refresh():
            if trial.number in kept and trial.state.is_finished() and (best is None or trial.number != best[0]):
                shutil.rmtree(kept[trial.number], ignore_errors=True)
        self._paused.tidy(kept)
