"""A study at one moment, as a launch looks at it every second, however many trials there are."""

from dataclasses import dataclass
from datetime import datetime

from search.policy.budget import read_spending
from storage.outcomes import read_outcomes
from storage.records import BestTrial, OutcomeRecord, WorkerRecord
from storage.standings import best_so_far, images_read
from storage.study import StoredStudy
from storage.telemetry import count_rungs, latest_points
from storage.workers import read_workers
from trial.reports import TelemetryPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One worker and the newest that is known of its trial."""

    worker: WorkerRecord
    rungs: int  # evaluations that its trial has passed
    latest: TelemetryPoint | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A study at one moment."""

    finished: int
    trials: int  # as many as it will have at the most
    best: BestTrial | None
    activities: tuple[Activity, ...]
    outcomes: tuple[OutcomeRecord, ...]  # all, or the latest; refused proposals too, which are in none of the counts
    paused: int = 0
    images: int = 0  # that trials were trained until their last readings
    likely_images: int | None = None  # until the study's end; None: its trials don't pause, and count themselves

    @property
    def tried(self) -> int:
        """Trials that have ended, or wait with what they have shown."""
        return self.finished + self.paused


def read_snapshot(
    study: StoredStudy, *, trials: int, likely_images: int | None = None, since: datetime | None = None
) -> Snapshot:
    """The study as it stands now, with the outcomes from `since` on.

    Raises:
        StorageUnavailable: the database is away.
    """
    outcomes = tuple(read_outcomes(study, since=since))  # first: what is told is then among what is counted
    spending = read_spending(study)
    return Snapshot(
        finished=spending.finished,
        trials=max(trials, spending.begun),
        paused=spending.paused,
        images=images_read(study) if likely_images is not None else 0,
        likely_images=likely_images,
        best=best_so_far(study),
        activities=_activities(study),
        outcomes=outcomes,
    )


def _activities(study: StoredStudy) -> tuple[Activity, ...]:
    workers = read_workers(study)
    running = [worker.trial for worker in workers if worker.trial is not None]
    latest, rungs = latest_points(study, running), count_rungs(study, running)
    return tuple(
        Activity(worker=worker, rungs=0, latest=None)
        if worker.trial is None
        else Activity(worker=worker, rungs=rungs[worker.trial], latest=latest.get(worker.trial))
        for worker in workers
    )
