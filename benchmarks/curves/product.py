"""This project's search on recorded curves: its workers, queue and storage are the real ones, its trainer replays."""

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from optuna.trial import FrozenTrial

from benchmarks.curves.curve import Curve
from benchmarks.curves.table import CurveTable, reading_at, training_s
from benchmarks.curves.track import Track
from benchmarks.curves.virtual_time import IdleEvent, TimeIsUp, VirtualTime
from search.launch.compatibility import agree
from search.plan import Plan
from search.policy.proposal import ENQUEUED, propose
from search.study.specification import Specification
from search.trainer.protocol import Advance, Command, Event, Start, Started
from search.trainer.run import Recorder, TrialRun
from search.trainer.watchdog import Speed
from search.worker import asker
from search.worker.loop import Pace, Worker
from storage.connection.database import Database
from storage.study import create_study
from trial.outcome import Outcome
from trial.reports import RungReport
from trial.verdict import Verdict

RESUME_S = 3.0  # of the processors: a paused trial's checkpoint is read, another's state let go
PACE = Pace(lease_s=3600.0, wait_s=0.0)


class ReplayedLink:
    """A trainer's link that answers at once, after the time that the recorded training took."""

    def __init__(self, curve: Curve, time: VirtualTime, track: Track, trained: dict[int, int]) -> None:
        self.speed = Speed()
        self.idle_s = 0.0
        self._curve = curve
        self._time = time
        self._track = track
        self._trained = trained  # images by trial, as checkpoints have them
        self._events: deque[Event] = deque()
        self._start: Start | None = None

    def send(self, command: Command) -> None:
        if isinstance(command, Start):
            self._start = command
            command.directory.mkdir(parents=True, exist_ok=True)
            done = self._trained.setdefault(command.trial, 0)
            self._time.sleep(RESUME_S if done else 0.0)
            self._events.append(Started(images=done))
        elif isinstance(command, Advance):
            assert self._start is not None  # the protocol's order
            self._events.append(self._advanced(self._start, command.to_images))

    def poll(self, wait_s: float) -> Event | None:
        return self._events.popleft() if self._events else None

    def _advanced(self, start: Start, to_images: int) -> RungReport | Verdict:
        since = self._trained[start.trial]
        reading = reading_at(self._curve, to_images)
        took_s = training_s(self._curve, since=since, until=to_images)
        if reading is None:
            self._time.sleep(took_s)
            outcome = Outcome(self._curve.outcome)
            return Verdict(outcome=outcome, cause=self._curve.cause, message="as recorded", images=self._curve.images)
        early = start.early_parts and to_images < start.budget_images
        metrics = reading.part if early else reading.metrics
        evaluation_s = reading.part_s if early else reading.evaluation_s
        self._time.sleep(took_s + evaluation_s)
        self._trained[start.trial] = reading.images
        self._track.read(self._time.now_s, self._curve.configuration, to_images, metrics["ap"])
        return RungReport(
            step=reading.images // 16,
            images=reading.images,
            ap=metrics["ap"],
            metrics=dict(metrics),
            training_s=took_s,
            evaluation_s=evaluation_s,
        )


class ReplayedTrainer:
    """In place of a worker's trainer."""

    device = "replayed"

    def __init__(self, link_of: Callable[[Mapping[str, Any]], ReplayedLink]) -> None:
        self._link_of = link_of

    def ready(self, stop: object) -> "ReplayedTrainer":
        return self

    def train(self, start: Start, rungs: tuple[int, ...], recorder: Recorder, stop: Any, **named: Any) -> Verdict:
        link: Any = self._link_of(recorder.parameters)  # type: ignore[attr-defined]
        return TrialRun(link, recorder, stop, check=lambda: None).run(start, rungs)

    def close(self) -> None:
        """Nothing is held."""

    kill = abandon = close


def searched(specification: Specification, table: CurveTable, *, seed: int, workers: int, limit_s: float) -> Track:
    """What a study of that specification reads within so many seconds."""
    track, time = Track(), VirtualTime(limit_s)
    trained: dict[int, int] = {}

    def link_of(parameters: Mapping[str, Any]) -> ReplayedLink:
        return ReplayedLink(table.curve(table.number_of(parameters), seed), time, track, trained)

    with tempfile.TemporaryDirectory() as name, _proposals_of(table):
        plan = Plan.of(specification, Path(name))
        with Database.open(f"sqlite:///{name}/study.db") as database:
            study = create_study(database, specification.name)
            agree(study, specification)

            def work() -> None:
                worker = Worker(study, plan, stop=IdleEvent(time), pace=PACE)
                worker._trainer = ReplayedTrainer(link_of)  # type: ignore[assignment]
                worker.run()

            time.run([work] * workers)
    return track


@contextmanager
def _proposals_of(table: CurveTable) -> Iterator[None]:
    """Proposals become the nearest configuration of the table that no trial has tried; who knows all is done."""

    def proposed(space: Any, study: Any, sampler: Any, **named: Any) -> FrozenTrial:
        wanted = propose(space, study, sampler, **named)
        tried = {table.number_of(trial.params) for trial in study.get_trials(deepcopy=False) if trial.params}
        number = table.nearest(wanted.params, without=tried)
        if number is None:
            raise TimeIsUp
        there = propose(space, study, sampler, **{**named, "fixed": table.parameters(number)})
        there.system_attrs.pop(ENQUEUED)
        return there

    with patch.object(asker, "propose", partial(proposed)):
        yield
