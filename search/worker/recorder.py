"""What a worker writes of the trial that it owns: first to disk, then to the database, in order and at most once.

Every write to the database is one transaction that the lease fences (`Leases.fenced`), Optuna's own writes included: a
worker that lost its trial changes nothing of it. While the database is away, results wait in the outbox. A transaction
whose answer was lost is not repeated blindly: what each entry means is read back first.
"""

import time
from collections import deque
from typing import assert_never

import optuna
from optuna.trial import TrialState

from search.faults.crash_points import CrashPoint, crash_point
from search.faults.history import Deed, note
from search.worker.outage import Outage
from search.worker.outbox import Crashes, End, Entry, Evaluation, Figures, Outbox
from storage.connection.database import Database
from storage.connection.errors import LeaseLost, StorageUnavailable
from storage.leases import Leases
from storage.outcomes import mark_infeasible, read_outcome, record_outcome
from storage.records import Lease, OutcomeRecord, RungRecord, TelemetryPoint
from storage.telemetry import append_telemetry, record_rung
from trial.outcome import INFEASIBLE, Outcome, Verdict
from trial.reports import ProgressReport, RungReport

FLUSH_S = 5.0  # so old may figures be that `status` and the progress display show
WARNING = "warning: "  # prefix of a figure in the telemetry; the rest is the rule, the value its step
CRASHES = "crashes"  # user attribute: how often a trainer was lost under this trial
HANGS = "hangs"  # user attribute: how often because it made no step any more


class TrialJournal:
    """One leased, RUNNING trial. Every method may raise `LeaseLost`; which need the database, they say.

    `renew` may be called from a heartbeat's thread; all else belongs to the worker's thread.
    """

    def __init__(
        self,
        database: Database,
        study: optuna.Study,
        trial: optuna.Trial,
        leases: Leases,
        lease: Lease,
        *,
        outbox: Outbox,
        outage: Outage,
    ) -> None:
        self.trial = trial
        self.latest: ProgressReport | None = None
        self._database = database
        self._study = study
        self._leases = leases
        self._lease = lease
        self._outbox = outbox
        self._outage = outage
        self._pending: deque[Entry] = deque()
        self._reported: dict[int, float] = {}
        self._written: set[int] = set()  # rungs; whether it was committed, may have stayed unheard
        self._crashes = Crashes()
        self._points: list[TelemetryPoint] = []
        self._flushed_at = time.monotonic()

    @property
    def number(self) -> int:
        return self.trial.number

    def renew(self) -> None:
        """Keep the lease for another while. Needs the database."""
        self._lease = self._leases.renew(self._lease)

    def open(self) -> Verdict | None:
        """Catch up with the trial's earlier lives. Needs the database; may be repeated.

        Returns the final verdict that an earlier owner reached but did not live to tell, else None.
        """
        with self._database.guarded():
            stored = self._stored()
        record = read_outcome(self._database, self._study.study_name, self.number)
        self._reported = dict(stored.intermediate_values)
        lost, hung = (int(stored.user_attrs.get(name, 0)) for name in (CRASHES, HANGS))
        self._crashes = Crashes(count=lost, hangs=hung)
        standing = None if record is None else _verdict(record)
        self._pending.clear()
        for entry in self._outbox.left_behind():
            if isinstance(entry, End):
                standing = standing or _final(entry.verdict)
            else:
                self._remember(entry)
        if standing is None:  # else it follows what waits, and only then may the outbox forget it
            self.deliver()
        return standing

    def reported(self) -> dict[int, float]:
        return dict(self._reported)

    def progress(self, progress: ProgressReport) -> None:
        self.latest = progress
        self._points.append(TelemetryPoint(step=progress.step, images=progress.images, figures=marked(progress)))
        if time.monotonic() - self._flushed_at > FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Hand on the figures that have come since the last time."""
        if self._points:
            self._put(Figures(points=self._points))
        self._points = []
        self._flushed_at = time.monotonic()

    def rung(self, rung: RungReport, budget_images: int) -> None:
        self.flush()
        crash_point(CrashPoint.BEFORE_FIRST_REPORT)
        record = RungRecord(
            trial=self.number,
            images=rung.images,
            step=rung.step,
            ap=rung.ap,
            metrics=rung.metrics,
            training_s=rung.training_s,
            evaluation_s=rung.evaluation_s,
        )
        self._put(Evaluation(rung=budget_images, record=record))

    def should_prune(self) -> bool:
        """Whether the last rung is the last of this trial; False as long as the database can't say."""
        if self._pending:
            return False
        try:
            with self._database.guarded():
                return self._study.pruner.prune(self._study, self._stored())
        except StorageUnavailable as error:
            self._outage.met(error)
            return False

    def count_crash(self, *, hung: bool) -> Crashes:
        """Note that a trainer was lost under this trial. Returns how often that has happened, in all its lives."""
        self._put(Crashes(count=self._crashes.count + 1, hangs=self._crashes.hangs + hung))
        return self._crashes

    def finish(self, verdict: Verdict) -> None:
        """Hand on how the trial ended; an interrupted one stays RUNNING. `deliver` says whether it has arrived."""
        self.flush()
        self._put(End(verdict=verdict))

    def catch_up(self) -> None:
        """Deliver what waits, if the database is back."""
        if not self._pending or self._outage.on:
            return
        try:
            self.deliver()
        except StorageUnavailable as error:
            self._outage.met(error)

    def deliver(self) -> None:
        """Bring everything that waits into the database, in order. Needs the database; may be repeated."""
        while self._pending:
            self._write(self._pending[0])
            self._pending.popleft()
        self._outbox.clear()

    def _put(self, entry: Entry) -> None:
        self._outbox.append(entry)
        self._remember(entry)
        if isinstance(entry, Evaluation):
            crash_point(CrashPoint.AFTER_OUTBOX)
        if isinstance(entry, End):
            crash_point(CrashPoint.BEFORE_TELL)
        self.catch_up()

    def _remember(self, entry: Entry) -> None:
        self._pending.append(entry)
        if isinstance(entry, Evaluation):
            self._reported.setdefault(entry.rung, entry.record.ap)
        if isinstance(entry, Crashes):
            most = {name: max(getattr(self._crashes, name), getattr(entry, name)) for name in ("count", "hangs")}
            self._crashes = Crashes(**most)

    def _write(self, entry: Entry) -> None:
        """One entry into the database, unless it is there already."""
        match entry:
            case Figures():
                with self._leases.fenced(self._lease):
                    append_telemetry(self._database, self._study.study_name, self.number, entry.points)
            case Evaluation():
                self._report(entry)
            case Crashes():
                with self._leases.fenced(self._lease), self._database.guarded():
                    self._database.optuna.set_trial_user_attr(self.trial._trial_id, CRASHES, entry.count)
                    if entry.hangs:
                        self._database.optuna.set_trial_user_attr(self.trial._trial_id, HANGS, entry.hangs)
            case End():
                self._end(entry.verdict)
            case _:
                assert_never(entry)

    def _report(self, entry: Evaluation) -> None:
        note(Deed.TRY, trial=self.number, token=self._lease.token, detail=str(entry.rung))
        with self._leases.fenced(self._lease), self._database.guarded():
            if entry.rung not in self._stored().intermediate_values:
                self._written.add(entry.rung)
                record_rung(self._database, self._study.study_name, entry.record)
                self._database.optuna.set_trial_intermediate_value(self.trial._trial_id, entry.rung, entry.record.ap)
            elif entry.rung not in self._written:  # an earlier owner's, who did not live to empty its outbox
                return
        note(Deed.REPORT, trial=self.number, token=self._lease.token, detail=str(entry.rung))
        crash_point(CrashPoint.AFTER_REPORT)

    def _end(self, verdict: Verdict) -> None:
        note(Deed.TRY, trial=self.number, token=self._lease.token, detail=verdict.outcome)
        try:
            with self._leases.fenced(self._lease):
                record_outcome(self._database, self._study.study_name, _record(self.number, verdict))
                crash_point(CrashPoint.BETWEEN_OUTCOME_AND_TELL)
                with self._database.guarded():
                    self._tell(verdict.outcome)
                self._leases.release(self._lease)
        except LeaseLost:
            if not self._leases.was_released(self._lease):  # else it is our own commit, whose answer was lost
                raise
        note(Deed.END, trial=self.number, token=self._lease.token, detail=verdict.outcome)
        crash_point(CrashPoint.AFTER_TELL)

    def _tell(self, outcome: Outcome) -> None:
        trial = optuna.Trial(self._study, self.trial._trial_id)  # anew: an undone transaction leaves its cache wrong
        if outcome in INFEASIBLE:
            mark_infeasible(self._database, self._study, trial, str(outcome))
        match outcome:
            case Outcome.COMPLETE:
                values = self._stored().intermediate_values
                self._study.tell(trial, values[max(values)])
            case (
                Outcome.SLOW
                | Outcome.DIVERGED
                | Outcome.NOT_LEARNING
                | Outcome.OUT_OF_MEMORY
                | Outcome.HOPELESS
                | Outcome.RISKY
            ):
                self._study.tell(trial, state=TrialState.PRUNED)
            case Outcome.BAD_DATA | Outcome.CRASHED | Outcome.INVALID:
                self._study.tell(trial, state=TrialState.FAIL)
            case Outcome.INTERRUPTED:
                pass
            case _:
                assert_never(outcome)

    def _stored(self) -> optuna.trial.FrozenTrial:
        return self._database.optuna.get_trial(self.trial._trial_id)


def marked(progress: ProgressReport) -> dict[str, float]:
    """The figures, and the step of every warning so far, so that none is lost with the process that heard of it."""
    return {**progress.figures, **{f"{WARNING}{warned.rule}": warned.step for warned in progress.warnings}}


def _final(verdict: Verdict) -> Verdict | None:
    return None if verdict.outcome is Outcome.INTERRUPTED else verdict


def _verdict(record: OutcomeRecord) -> Verdict | None:
    return _final(
        Verdict(
            outcome=Outcome(record.outcome),
            cause=record.cause,
            message=record.message,
            step=record.step,
            images=record.images,
            evidence=record.evidence,
        )
    )


def _record(trial: int, verdict: Verdict) -> OutcomeRecord:
    return OutcomeRecord(
        trial=trial,
        outcome=str(verdict.outcome),
        cause=verdict.cause,
        message=verdict.message,
        step=verdict.step,
        images=verdict.images,
        evidence=verdict.evidence,
    )
