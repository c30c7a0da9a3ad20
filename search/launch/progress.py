"""What a launch shows while it runs: one line for each trial that ended, and what is going on at the moment."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.policy.budget import read_spending
from search.terminal import PlainConsole
from storage.outcomes import read_outcomes
from storage.records import OutcomeRecord, WorkerRecord
from storage.study import StoredStudy, best_complete
from storage.telemetry import count_rungs, latest_points
from storage.workers import read_workers
from trial.outcome import Outcome, refusals
from trial.reports import TelemetryPoint

SHOWN_LOSSES = 3
LATE = timedelta(seconds=60)  # an outcome may be seen so long after it was recorded: its transaction was still open


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
    trials: int  # as many as it will have
    best: tuple[int, float] | None  # trial and AP, of those trained in full
    activities: tuple[Activity, ...]
    outcomes: tuple[OutcomeRecord, ...]  # all, or the latest; refused proposals too, which are in none of the counts


def read_snapshot(study: StoredStudy, *, trials: int, since: datetime | None = None) -> Snapshot:
    """The study as it stands now, with the outcomes from `since` on: launch looks every second, however many there are.

    Raises:
        StorageUnavailable: the database is away.
    """
    outcomes = tuple(read_outcomes(study, since=since))  # first: what is told is then among what is counted
    spending = read_spending(study)
    return Snapshot(
        finished=spending.finished,
        trials=max(trials, spending.begun),
        best=best_complete(study),
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


class Progress:
    """Shows snapshots: live at the foot of a terminal, else only the lines of trials that ended."""

    def __init__(self, console: PlainConsole, *, rungs: tuple[int, ...]) -> None:
        self._console = console
        self._rungs = rungs
        self._told: dict[int, Outcome] | None = None  # outcomes shown; None before the first snapshot
        self.since: datetime | None = None  # from here on, the next snapshot's outcomes may be news
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator["Progress"]:
        """Show in this block."""
        if not self._console.is_terminal:
            yield self
            return
        with Live(console=self._console, transient=True, refresh_per_second=2) as self._live:
            yield self
        self._live = None

    def update(self, snapshot: Snapshot) -> None:
        """Tell what is new since the last snapshot. What had ended before the first is not news."""
        outcomes = {record.trial: record.outcome for record in snapshot.outcomes}
        if self._told is not None:
            new = [record for record in snapshot.outcomes if self._told.get(record.trial) != record.outcome]
            for refused, alike in groupby(new, key=lambda record: record.outcome.refused):
                records = list(alike)
                lines = [refused_row(records, snapshot)] if refused else [ending(each, snapshot) for each in records]
                for line in lines:
                    self._console.print(Text(line), soft_wrap=True)
        self._told = (self._told or {}) | outcomes
        recorded = [record.recorded_at for record in snapshot.outcomes if record.recorded_at is not None]
        self.since = max((at - LATE for at in recorded), default=self.since)
        if self._live is not None:
            self._live.update(self._foot(snapshot))

    def _foot(self, snapshot: Snapshot) -> RenderableType:
        bar = Table.grid(padding=(0, 2))
        best = f"best AP {snapshot.best[1]:.3f} (trial {snapshot.best[0]})" if snapshot.best else "no AP yet"
        bar.add_row(
            ProgressBar(total=snapshot.trials, completed=snapshot.finished, width=30),
            Text(f"{snapshot.finished} of {snapshot.trials} trials"),
            Text(best),
        )
        rows = Table.grid(padding=(0, 2))
        for activity in snapshot.activities:
            rows.add_row(*map(Text, self._cells(activity)))
        return Group(bar, rows)

    def _cells(self, activity: Activity) -> tuple[str, str, str, str]:
        worker, latest = activity.worker, activity.latest
        if worker.trial is None:
            return (f"{worker.worker}: preparing a trainer", "", "", "")
        images = max(worker.images, latest.images if latest else 0)
        goal = self._rungs[min(activity.rungs, len(self._rungs) - 1)]
        return (
            f"trial {worker.trial}",
            f"{images} images, rung {activity.rungs + 1} of {len(self._rungs)} at {goal}",
            losses(latest.figures) if latest else "",
            f"{worker.images_per_s:.1f} images/s",
        )


def ending(record: OutcomeRecord, snapshot: Snapshot) -> str:
    """One line about a trial that ended or was stopped."""
    head = f"[{snapshot.finished}/{snapshot.trials}] trial {record.trial} {record.outcome}"
    if record.outcome.healthy:
        ap = record.evidence.get("ap")
        measured = f"AP {ap:.3f}" if isinstance(ap, float) else "no AP"
        best = f"; best {snapshot.best[1]:.3f} (trial {snapshot.best[0]})" if snapshot.best else ""
        return f"{head}: {measured} after {record.images} images{best}"
    return f"{head}: {record.sentence} (step {record.step}, {record.images} images)"


def refused_row(records: list[OutcomeRecord], snapshot: Snapshot) -> str:
    """One line about proposals that were not trained, one after another, with the last one's reason."""
    last = records[-1]
    what = f"trial {last.trial} not trained, {last.outcome}"
    if len(records) > 1:
        alike = refusals(Counter(record.outcome for record in records))
        what = f"{len(records)} proposals not trained, {alike}; the last, trial {last.trial}"
    return f"[{snapshot.finished}/{snapshot.trials}] {what}: {last.message}"


def losses(figures: dict[str, float]) -> str:
    """The largest losses by name; the total first where there is one."""
    named = {name: value for name, value in figures.items() if name.startswith("loss")}
    order = sorted(named, key=lambda name: (name != "loss", -named[name]))
    return "  ".join(f"{name.removeprefix('loss_')} {named[name]:.3g}" for name in order[:SHOWN_LOSSES])
