"""What a worker writes of the trial that it owns: first to disk, then to the database, in order and at most once.

Every write to the database is one transaction that the lease fences (`Leases.fenced`), Optuna's own writes included: a
worker that lost its trial changes nothing of it. While the database is away, results wait in the outbox. A transaction
whose answer was lost is not repeated blindly: what each entry means is read back first.
"""

import time
from collections import deque
from collections.abc import Mapping
from typing import assert_never

from search.faults.crash_points import CrashPoint, crash_point
from search.faults.history import HistoryEvent, note
from search.policy.readings import attribute
from search.policy.score import score
from search.worker.outage import Outage
from search.worker.outbox import Crashes, End, Entry, Evaluation, Figures, Outbox
from spaces.parameters import Value
from storage.connection.errors import LeaseLost, StorageUnavailable
from storage.leases import Leases
from storage.outcomes import read_outcome, record_outcome
from storage.records import Lease, LostTrainers
from storage.study import StoredStudy
from storage.study_view import StudyView, lost_trainers
from storage.telemetry import append_telemetry, record_rung
from trial.outcome import Outcome
from trial.reports import ProgressReport, RungReport, TelemetryPoint
from trial.verdict import Verdict

FLUSH_S = 5.0  # so old may figures be that `status` and the progress display show


class TrialRecorder:
    """One leased, RUNNING trial, with the values that it tries.

    With `pauses` it waits at each rung for its promotion; `promoted_from` is the rung from which it was promoted now.
    Every method may raise `LeaseLost`; which need the database, they say.
    `renew` may be called from a heartbeat's thread; all else belongs to the worker's thread.
    """

    def __init__(
        self,
        study: StoredStudy,
        view: StudyView,
        leases: Leases,
        lease: Lease,
        *,
        parameters: Mapping[str, Value],
        outbox: Outbox,
        outage: Outage,
        pauses: bool = False,
        promoted_from: int | None = None,
    ) -> None:
        self.number = lease.trial
        self.parameters = parameters
        self.latest: ProgressReport | None = None
        self._study = study
        self._database = study.database
        self._view = view
        self._leases = leases
        self._lease = lease
        self._outbox = outbox
        self._outage = outage
        self._pauses = pauses
        self._promoted_from = promoted_from
        self._earlier: Verdict | None = None  # how it stood when it was taken
        self._pending: deque[Entry] = deque()
        self._reported: dict[int, float] = {}
        self._written: set[int] = set()  # rungs; whether it was committed, may have stayed unheard
        self._crashes = Crashes()
        self._points: list[TelemetryPoint] = []
        self._flushed_at = time.monotonic()

    def renew(self) -> None:
        """Keep the lease for another while. Needs the database."""
        self._lease = self._leases.renew(self._lease)

    def open(self) -> Verdict | None:
        """Catch up with the trial's earlier lives. Needs the database; may be repeated.

        Returns the final verdict that an earlier owner reached but did not live to tell, else None.
        """
        stored = self._view.stored_trial(self.number)
        standing: Verdict | None = read_outcome(self._study, self.number)
        self._earlier = standing
        self._reported = dict(stored.intermediate_values)
        lost = lost_trainers(stored)
        self._crashes = Crashes(count=lost.lost, hangs=lost.hung)
        self._pending.clear()
        for entry in self._outbox.left_behind():
            if not isinstance(entry, End):
                self._remember(entry)
            elif standing is None or not standing.outcome.final:
                standing = entry.verdict
        if standing is not None and not standing.outcome.final:
            standing = None
        if standing is None:  # else it follows what waits, and only then may the outbox forget it
            self.deliver()
        return standing

    def reported(self) -> dict[int, float]:
        return dict(self._reported)

    def progress(self, progress: ProgressReport) -> None:
        self.latest = progress
        self._points.append(progress.point)
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
        self._put(Evaluation(rung=budget_images, record=rung))

    def outcome_at(self, rung: int) -> Outcome | None:
        """The outcome with which the trial stops at that rung; None where it goes on, or the database can't say."""
        if self._pending:
            return None
        if self._pauses:
            return None if rung == self._promoted_from else Outcome.PAUSED
        try:
            with self._database.guarded():
                self._view.refresh()
                outranked = self._view.pruner.prune(self._view, self._view.stored_trial(self.number))
        except StorageUnavailable as error:
            self._outage.met(error)
            return None
        return Outcome.OUTRANKED if outranked else None

    def count_crash(self, *, hung: bool) -> Crashes:
        """Note that a trainer was lost under this trial. Returns how often that has happened, in all its lives."""
        self._put(Crashes(count=self._crashes.count + 1, hangs=self._crashes.hangs + hung))
        return self._crashes

    def finish(self, verdict: Verdict) -> None:
        """Hand on how the trial ended; an interrupted one stays RUNNING. `deliver` says whether it has arrived."""
        self.flush()
        self._put(End(verdict=verdict.after(self._earlier)))

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
                    append_telemetry(self._study, self.number, entry.points)
            case Evaluation():
                self._report(entry)
            case Crashes():
                with self._leases.fenced(self._lease):
                    self._view.keep_lost_trainers(self.number, LostTrainers(lost=entry.count, hung=entry.hangs))
            case End():
                self._end(entry.verdict)
            case _:
                assert_never(entry)

    def _report(self, entry: Evaluation) -> None:
        note(HistoryEvent.TRY, trial=self.number, token=self._lease.token, detail=str(entry.rung))
        with self._leases.fenced(self._lease):
            if entry.rung not in self._view.stored_trial(self.number).intermediate_values:
                self._written.add(entry.rung)
                record_rung(self._study, self.number, entry.record)
                kept = attribute(entry.rung, score(entry.record))
                self._view.report(self.number, entry.rung, entry.record.ap, **kept)
            elif entry.rung not in self._written:  # an earlier owner's, who did not live to empty its outbox
                return
        note(HistoryEvent.REPORT, trial=self.number, token=self._lease.token, detail=str(entry.rung))
        crash_point(CrashPoint.AFTER_REPORT)

    def _end(self, verdict: Verdict) -> None:
        note(HistoryEvent.TRY, trial=self.number, token=self._lease.token, detail=verdict.outcome)
        try:
            with self._leases.fenced(self._lease):
                record_outcome(self._study, self.number, verdict)
                crash_point(CrashPoint.BETWEEN_OUTCOME_AND_TELL)
                if verdict.outcome.final:
                    self._view.end(self.number, verdict.outcome)
                self._leases.release(self._lease)
        except LeaseLost:
            if not self._leases.was_released(self._lease):  # else it is our own commit, whose answer was lost
                raise
        note(HistoryEvent.END, trial=self.number, token=self._lease.token, detail=verdict.outcome)
        crash_point(CrashPoint.AFTER_TELL)
