"""What a worker writes of the trial that it owns. Each store first makes sure that it still does.

The order at the end matters, because a worker may die between any two writes: the outcome, the constraint, and last
what Optuna is told. A trial that was not told is claimed again; its recorded outcome then stands.
"""

import time
from typing import assert_never

import optuna
from optuna.trial import TrialState

from search.outcomes import INFEASIBLE, Outcome, Verdict
from search.protocol import Progress, Rung
from storage.database import Database
from storage.leases import Leases
from storage.outcomes import mark_infeasible, read_outcome, record_outcome
from storage.records import Lease, OutcomeRecord, RungRecord, TelemetryPoint
from storage.telemetry import append_telemetry, record_rung

FLUSH_S = 5.0  # so old may figures be that `status` and the progress display show
CRASHES = "crashes"  # user attribute: how often a trainer was lost under this trial


class TrialJournal:
    """One leased, RUNNING trial. Every method may raise `LeaseLost` and `StorageUnavailable`.

    `renew` may be called from a heartbeat's thread; all else belongs to the worker's thread.
    """

    def __init__(
        self, database: Database, study: optuna.Study, trial: optuna.Trial, leases: Leases, lease: Lease
    ) -> None:
        self.trial = trial
        self.latest: Progress | None = None
        self._database = database
        self._study = study
        self._leases = leases
        self._lease = lease
        self._points: list[TelemetryPoint] = []
        self._flushed_at = time.monotonic()

    @property
    def number(self) -> int:
        return self.trial.number

    def renew(self) -> None:
        """Keep the lease for another while."""
        self._lease = self._leases.renew(self._lease)

    def standing(self) -> Verdict | None:
        """The final verdict that an earlier owner recorded but did not live to tell."""
        record = read_outcome(self._database, self._study.study_name, self.number)
        if record is None or record.outcome == Outcome.INTERRUPTED:
            return None
        return Verdict(
            outcome=Outcome(record.outcome),
            cause=record.cause,
            message=record.message,
            step=record.step,
            images=record.images,
            evidence=record.evidence,
        )

    def reported(self) -> dict[int, float]:
        with self._database.guarded():
            return dict(self._stored().intermediate_values)

    def progress(self, progress: Progress) -> None:
        self.latest = progress
        self._points.append(TelemetryPoint(step=progress.step, images=progress.images, figures=progress.figures))
        if time.monotonic() - self._flushed_at > FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Store the figures that have come since the last time."""
        self._leases.check(self._lease)
        append_telemetry(self._database, self._study.study_name, self.number, self._points)
        self._points.clear()
        self._flushed_at = time.monotonic()

    def rung(self, rung: Rung, budget_images: int) -> None:
        self.flush()
        record = RungRecord(
            trial=self.number,
            images=rung.images,
            step=rung.step,
            ap=rung.ap,
            metrics=rung.metrics,
            training_s=rung.training_s,
            evaluation_s=rung.evaluation_s,
        )
        record_rung(self._database, self._study.study_name, record)
        with self._database.guarded():
            self.trial.report(rung.ap, step=budget_images)

    def should_prune(self) -> bool:
        with self._database.guarded():
            return self.trial.should_prune()

    def count_crash(self) -> int:
        """Note that a trainer was lost under this trial. Returns how often that has happened, in all its lives."""
        self._leases.check(self._lease)
        with self._database.guarded():
            crashes = int(self._stored().user_attrs.get(CRASHES, 0)) + 1
            self.trial.set_user_attr(CRASHES, crashes)
        return crashes

    def finish(self, verdict: Verdict) -> None:
        """Record how the trial ended, tell Optuna, and give the lease back; an interrupted one stays RUNNING."""
        self.flush()
        self._record(verdict)
        if verdict.outcome in INFEASIBLE:
            mark_infeasible(self._database, self._study, self.trial, str(verdict.outcome))
        with self._database.guarded():
            self._tell(verdict.outcome)
        self._leases.release(self._lease)

    def _record(self, verdict: Verdict) -> None:
        record = OutcomeRecord(
            trial=self.number,
            outcome=str(verdict.outcome),
            cause=verdict.cause,
            message=verdict.message,
            step=verdict.step,
            images=verdict.images,
            evidence=verdict.evidence,
        )
        record_outcome(self._database, self._study.study_name, record)

    def _tell(self, outcome: Outcome) -> None:
        match outcome:
            case Outcome.COMPLETE:
                values = self._stored().intermediate_values
                self._study.tell(self.trial, values[max(values)])
            case Outcome.SLOW | Outcome.DIVERGED | Outcome.NOT_LEARNING | Outcome.OUT_OF_MEMORY:
                self._study.tell(self.trial, state=TrialState.PRUNED)
            case Outcome.BAD_DATA | Outcome.CRASHED:
                self._study.tell(self.trial, state=TrialState.FAIL)
            case Outcome.INTERRUPTED:
                pass
            case _:
                assert_never(outcome)

    def _stored(self) -> optuna.trial.FrozenTrial:
        return self._database.optuna.get_trial(self.trial._trial_id)
