"""What a launch shows while it runs: one line for each trial that ended, and what is going on at the moment."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from search.display.duration import clock_text, range_text, time_left
from search.display.foot import Foot
from search.launch.activity_lines import ActivityLines
from search.launch.snapshot import Snapshot
from search.terminal import PlainConsole
from storage.records import BestTrial, OutcomeRecord
from trial.outcome import Outcome, refusals

LATE = timedelta(seconds=60)  # an outcome may be seen so long after it was recorded: its transaction was still open
BAR_CELLS = 8


class Progress:
    """Shows snapshots: live at the foot of a terminal, else the lines of trials that ended and of stages that began."""

    def __init__(
        self, console: PlainConsole, *, rungs: tuple[int, ...], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rungs = rungs
        self._clock = clock
        self._foot = Foot(console, clock=clock)
        self._lines = ActivityLines(rungs, clock=clock)
        self._told: dict[int, Outcome] | None = None  # outcomes shown; None before the first snapshot
        self._refused: dict[int, OutcomeRecord] = {}  # proposals that were not trained, since they were last told
        self._began_s = clock()
        self._trained_from: tuple[float, int] | None = None  # when a trial was first seen, and how much was done then
        self.since: datetime | None = None  # from here on, the next snapshot's outcomes may be news

    @contextmanager
    def shown(self) -> Iterator["Progress"]:
        """Show in this block."""
        with self._foot.shown():
            yield self
            self._tell_refused()

    def update(self, snapshot: Snapshot) -> None:
        """Tell what is new since the last snapshot. What had ended before the first is not news."""
        outcomes = {record.trial: record.outcome for record in snapshot.outcomes}
        if self._told is not None:
            for record in snapshot.outcomes:
                before = self._told.get(record.trial)
                waited = (before, record.outcome) == (Outcome.PAUSED, Outcome.OUTRANKED)
                if before != record.outcome and not waited:  # what it reached was told when it paused
                    self._news(record, snapshot)
        self._told = (self._told or {}) | outcomes
        recorded = [record.recorded_at for record in snapshot.outcomes if record.recorded_at is not None]
        self.since = max((at - LATE for at in recorded), default=self.since)
        if self._trained_from is None and any(each.worker.trial is not None for each in snapshot.activities):
            self._trained_from = self._clock(), self._pieces(snapshot)[0]
        lines, stages = self._lines.of(snapshot.activities)
        if not self._foot.live:
            for line in stages:
                self._foot.tell(line)
        nobody = ["workers are starting" if self._trained_from is None else "workers are leaving"]
        shown = [*self._head(snapshot), *(lines or nobody)]
        self._foot.show(lambda: shown)
        self._foot.log([self._state(snapshot), *lines])

    def _news(self, record: OutcomeRecord, snapshot: Snapshot) -> None:
        if record.outcome.refused:
            self._refused[record.trial] = record
            return
        if not self._foot.live:
            self._tell_refused()
        self._foot.tell(ending(record, snapshot, self._rungs[-1]))

    def _tell_refused(self) -> None:
        if self._refused:
            self._foot.tell(refused_row(list(self._refused.values())))
        if not self._foot.live:
            self._refused.clear()

    def _head(self, snapshot: Snapshot) -> list[str]:
        """A bar with the state of the study, and what was refused."""
        done, total = self._pieces(snapshot)
        full = BAR_CELLS * min(done, total) // max(1, total)
        refused = [refused_row(list(self._refused.values()))] if self._refused else []
        return ["━" * full + "─" * (BAR_CELLS - full) + "  " + self._state(snapshot), *refused]

    def _state(self, snapshot: Snapshot) -> str:
        """From what matters most on: a narrow terminal cuts the rest."""
        counts = f"{snapshot.tried} of {snapshot.trials} trials"
        left = None
        if self._trained_from is not None:
            (began_s, before), (done, total) = self._trained_from, self._pieces(snapshot)
            left = time_left(self._clock() - began_s, done - before, total - done)
        counts += f", {range_text(*left)} left" if left else ""
        best = best_text(snapshot.best, self._rungs[-1])
        return "  ".join((counts, best, f"{clock_text(self._clock() - self._began_s)} so far"))

    def _pieces(self, snapshot: Snapshot) -> tuple[int, int]:
        """How much is done, of how much: in trials, or in what a new trial takes until its first rung."""
        if snapshot.likely_images is None:
            return snapshot.finished, snapshot.trials
        return snapshot.images // self._rungs[0], -(-snapshot.likely_images // self._rungs[0])


def best_text(best: BestTrial | None, budget_images: int) -> str:
    """The best AP so far, and after how many images where that is not the whole budget."""
    if best is None:
        return "no AP yet"
    early = f" at {best.rung_images}" if best.rung_images < budget_images else ""
    return f"best AP {best.ap:.3f} (trial {best.trial}{early})"


def ending(record: OutcomeRecord, snapshot: Snapshot, budget_images: int) -> str:
    """One line about a trial that ended or was stopped."""
    head = f"[{snapshot.tried}/{snapshot.trials}] trial {record.trial} {record.outcome}"
    if record.outcome.healthy or record.outcome is Outcome.PAUSED:
        ap = record.evidence.get("ap")
        measured = f"AP {ap:.3f}" if isinstance(ap, float) else "no AP"
        best = f"; {best_text(snapshot.best, budget_images)}" if snapshot.best else ""
        return f"{head}: {measured} after {record.images} images{best}"
    return f"{head}: {record.sentence} (step {record.step}, {record.images} images)"


def refused_row(records: list[OutcomeRecord]) -> str:
    """One line about proposals that were not trained, with the last one's reason."""
    last = records[-1]
    if len(records) == 1:
        return f"trial {last.trial} not trained, {last.outcome}: {last.message}"
    alike = refusals(Counter(record.outcome for record in records))
    return f"{len(records)} proposals not trained: {alike}; the last, trial {last.trial}: {last.message}"
