"""A worker's dealings with the database, one after another and timed; what its trainer would say is made up."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from search.plan import Plan
from search.worker.outage import Outage
from search.worker.queue import TrialQueue
from search.worker.recorder import TrialRecorder
from storage.connection.database import Database
from storage.study import find_study
from trial.outcome import Outcome
from trial.reports import ProgressReport, RungReport
from trial.verdict import Verdict

POINTS = 5  # of telemetry before each rung

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """How long something took, and how much of it this process computed: on a busy machine only that is comparable."""

    wall_s: float
    cpu_s: float


def timed(call: Callable[[], Answer]) -> tuple[Answer, Took]:
    """What the call returned, and what it took."""
    began_s, computed_s = time.perf_counter(), time.process_time()
    answer = call()
    return answer, Took(wall_s=time.perf_counter() - began_s, cpu_s=time.process_time() - computed_s)


class BareWorker:
    """Runs trials without training. `took` holds what each part took, by name, in the order of the trials."""

    def __init__(self, database: Database, plan: Plan, *, seed: int) -> None:
        self.took: dict[str, list[Took]] = defaultdict(list)
        self._plan = plan
        self._recorder: TrialRecorder | None = None
        self._random = random.Random(seed)
        self._queue = TrialQueue(
            find_study(database, plan.study),
            plan,
            worker=f"bare-{seed}",
            lease_s=60.0,
            outage=Outage(threading.Event(), give_up_s=60.0),
        )

    def begin(self) -> None:
        """Take a trial: the next one, or one that its worker left behind."""
        self._timed("outlook", self._queue.outlook)
        self._recorder = self._timed("ask or claim", self._queue.next_trial)
        self._timed("open", self._begun.open)

    def finish(self) -> None:
        """Report its rungs and end it, pruned or complete, as a worker does."""
        recorder, rungs = self._begun, self._plan.rungs
        ap = self._random.uniform(0.0, 0.6)
        for passed, rung in enumerate(rungs, start=1):
            self._report(recorder, rung, ap * passed / len(rungs))
            if rung != rungs[-1] and (ended := self._timed("decide on pruning", partial(recorder.outcome_at, rung))):
                return self._end(recorder, ended, rung)
        return self._end(recorder, Outcome.COMPLETE, rungs[-1])

    def run(self) -> None:
        """One trial from its beginning to the clearing up after it."""
        self.begin()
        self.finish()

    @property
    def _begun(self) -> TrialRecorder:
        if self._recorder is None:
            raise RuntimeError("there is no trial to be had; the study needs a larger budget")
        return self._recorder

    def _report(self, recorder: TrialRecorder, images: int, ap: float) -> None:
        for step in range(POINTS):
            figures = {f"figure_{number}": self._random.random() for number in range(12)}
            at = images // 16 - POINTS + step
            recorder.progress(ProgressReport(step=at, images=16 * at, figures=figures, images_per_s=1.0))
        rung = RungReport(step=images // 16, images=images, ap=ap, metrics={"ap": ap}, training_s=1.0, evaluation_s=1.0)
        self._timed("report a rung", lambda: recorder.rung(rung, images))

    def _end(self, recorder: TrialRecorder, outcome: Outcome, images: int) -> None:
        verdict = Verdict(outcome=outcome, cause="", message="made up", step=images // 16, images=images)

        def tell() -> None:
            recorder.finish(verdict)
            recorder.deliver()

        self._timed("tell", tell)
        self._timed("clear up", self._queue.tidy)

    def _timed(self, name: str, call: Callable[[], Answer]) -> Answer:
        answer, took = timed(call)
        self.took[name].append(took)
        return answer
