"""A worker's dealings with the database, one after another and timed; what its trainer would say is made up."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

from search.journal import TrialJournal
from search.outage import Outage
from search.outcomes import Outcome, Verdict
from search.plan import Plan
from search.protocol import Progress, Rung
from search.trial_queue import TrialQueue
from storage.database import Database
from storage.leases import Leases

POINTS = 5  # of telemetry before each rung

Answer = TypeVar("Answer")


class BareWorker:
    """Runs trials without training. `took_s` holds what each part took, by name, in the order of the trials."""

    def __init__(self, database: Database, plan: Plan, *, seed: int) -> None:
        self.took_s: dict[str, list[float]] = defaultdict(list)
        self._plan = plan
        self._random = random.Random(seed)
        self._leases = Leases(database, plan.study)
        self._queue = TrialQueue(
            database, plan, worker=f"bare-{seed}", lease_s=60.0, outage=Outage(threading.Event(), give_up_s=60.0)
        )

    def begin(self) -> TrialJournal:
        """The next trial, ours."""
        self._timed("outlook", self._queue.outlook)
        journal = self._timed("next trial", self._queue.next_trial)
        if journal is None:
            raise RuntimeError("the study has as many trials as it wants; give it a larger budget")
        self._timed("open", journal.open)
        return journal

    def run(self) -> None:
        """One trial from its beginning to the clearing up after it, as a worker does it, pruned or complete."""
        journal = self.begin()
        ap = self._random.uniform(0.0, 0.6)
        for passed, rung in enumerate(self._plan.rungs, start=1):
            self._report(journal, rung, ap * passed / len(self._plan.rungs))
            if rung != self._plan.rungs[-1] and self._timed("decide on pruning", journal.should_prune):
                return self._end(journal, Outcome.SLOW, rung)
        return self._end(journal, Outcome.COMPLETE, self._plan.rungs[-1])

    def _report(self, journal: TrialJournal, images: int, ap: float) -> None:
        for step in range(POINTS):
            figures = {f"figure_{number}": self._random.random() for number in range(12)}
            at = images // 16 - POINTS + step
            journal.progress(Progress(step=at, images=16 * at, figures=figures, images_per_s=1.0))
        rung = Rung(step=images // 16, images=images, ap=ap, metrics={"ap": ap}, training_s=1.0, evaluation_s=1.0)
        self._timed("report a rung", lambda: journal.rung(rung, images))

    def _end(self, journal: TrialJournal, outcome: Outcome, images: int) -> None:
        verdict = Verdict(outcome=outcome, cause="", message="made up", step=images // 16, images=images)

        def tell() -> None:
            journal.finish(verdict)
            journal.deliver()

        self._timed("tell", tell)
        self._timed("clear up", self._queue.tidy)

    def _timed(self, name: str, call: Callable[[], Answer]) -> Answer:
        began_s = time.perf_counter()
        answer = call()
        self.took_s[name].append(time.perf_counter() - began_s)
        return answer
