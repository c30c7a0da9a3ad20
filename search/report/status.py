"""How a study stands: states, best so far, causes of death, pace, what runs where."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from detector.config import ConfigError
from search.policy.budget import spends_budget, was_refused
from search.report.ranking import RankedTrial, best, ranked
from search.study.specification import specification_from_json
from search.study.storage_url import default_storage
from search.worker.recorder import CRASHES, HANGS
from storage.connection.database import Database
from storage.leases import Leases
from storage.outages import read_outages
from storage.outcomes import read_outcomes
from storage.records import OutageRecord, OutcomeRecord, RungRecord, WorkerRecord
from storage.study import load_study, read_specification
from storage.telemetry import read_rungs
from storage.workers import read_workers
from trial.outcome import REFUSED, Outcome

#: Ends that need no explanation, and those of trials that were never trained; all others are causes of death.
PEACEFUL = frozenset({Outcome.COMPLETE, Outcome.SLOW, Outcome.INTERRUPTED, *REFUSED})

SAME_OUTAGE_S = 10.0  # a full disk lets a heartbeat through now and then


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """One outcome with one cause, and the trials that it befell."""

    outcome: str
    cause: str
    trials: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState(WorkerRecord):
    """A worker, and to which of the rungs its trial is on the way."""

    rung: int | None  # from 1; None: it has no trial
    rungs: int | None  # None: the study holds no specification


@dataclass(frozen=True, slots=True, kw_only=True)
class LostTrainers:
    """Trainer processes that died or hung under one trial, which was tried again each time."""

    trial: int
    lost: int
    hung: int  # among these


@dataclass(frozen=True, slots=True, kw_only=True)
class Outages:
    """When the database was away, as workers noticed and survived it."""

    count: int  # those of several workers at one time are one
    seconds: float  # in which at least one worker went without


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A study at one moment."""

    study: str
    storage: str  # host and database, never credentials
    states: dict[str, int]  # trials by Optuna's states, only those that occur
    outcomes: dict[str, int]
    refused: int  # proposals that were not trained; Optuna counts them as pruned
    budget_trials: int | None  # None: the study holds no specification
    best: RankedTrial | None
    reference: RankedTrial | None
    deaths: tuple[Death, ...]
    trials_per_hour: float | None  # None: nothing has finished
    workers: tuple[WorkerState, ...]
    waiting: tuple[int, ...]  # asked for, not begun
    claimable: tuple[int, ...]  # begun, and without an owner: the next worker goes on with them
    changed_hands: dict[int, int]  # how often a trial passed to another worker; only those that did
    lost_trainers: tuple[LostTrainers, ...]
    outages: Outages

    @property
    def finished(self) -> int:
        ended = sum(count for state, count in self.states.items() if TrialState[state.upper()].is_finished())
        return ended - self.refused


def read_status(database: Database, study_name: str) -> Status:
    """The study as it stands now.

    Raises:
        StorageError: there is no such study.
    """
    study = load_study(database, study_name)
    with database.guarded():
        trials = study.get_trials(deepcopy=False)
    outcomes = read_outcomes(database, study_name)
    rungs = read_rungs(database, study_name, None)
    places = ranked(trials, outcomes, rungs)
    specification = read_specification(database, study_name) or {}
    leases = Leases(database, study_name)
    return Status(
        study=study_name,
        storage=database.label,
        states=_counts(trial.state.name.lower() for trial in trials),
        outcomes=_counts(record.outcome for record in outcomes),
        refused=sum(map(was_refused, trials)),
        budget_trials=specification.get("budget", {}).get("trials"),
        best=best(places),
        reference=next((place for place in places if place.is_reference), None),
        deaths=deaths(outcomes),
        trials_per_hour=trials_per_hour(filter(spends_budget, trials)),
        workers=worker_states(read_workers(database, study_name), rungs, _count_rungs(specification)),
        waiting=tuple(trial.number for trial in trials if trial.state is TrialState.WAITING),
        claimable=tuple(leases.claimable()),
        changed_hands=leases.changes_of_hands(),
        lost_trainers=lost_trainers(trials),
        outages=outages_survived(read_outages(database, study_name)),
    )


def deaths(outcomes: Iterable[OutcomeRecord]) -> tuple[Death, ...]:
    """Causes of death, the most frequent first."""
    trials_of: dict[tuple[str, str], list[int]] = {}
    for record in outcomes:
        if record.outcome not in PEACEFUL:
            trials_of.setdefault((record.outcome, record.cause), []).append(record.trial)
    found = (Death(outcome=o, cause=c, trials=tuple(sorted(trials))) for (o, c), trials in trials_of.items())
    return tuple(sorted(found, key=lambda death: (-len(death.trials), death.outcome, death.cause)))


def worker_states(
    workers: Iterable[WorkerRecord], rungs: Iterable[RungRecord], count: int | None
) -> tuple[WorkerState, ...]:
    """Each worker with the rung, of `count`, that its trial is on the way to."""
    passed = Counter(rung.trial for rung in rungs)
    return tuple(
        WorkerState(
            **{entry.name: getattr(worker, entry.name) for entry in fields(worker)},
            rung=None if worker.trial is None else min(passed[worker.trial] + 1, count or passed[worker.trial] + 1),
            rungs=count,
        )
        for worker in workers
    )


def _count_rungs(document: dict[str, Any]) -> int | None:
    """How many rungs the stored specification means, as far as this program understands it."""
    try:
        return len(specification_from_json(document, storage=default_storage("any")).rungs)
    except ConfigError:
        return None


def lost_trainers(trials: Iterable[FrozenTrial]) -> tuple[LostTrainers, ...]:
    """The trials under which a trainer was lost, by number."""
    return tuple(
        LostTrainers(trial=trial.number, lost=lost, hung=trial.user_attrs.get(HANGS, 0))
        for trial in trials
        if (lost := trial.user_attrs.get(CRASHES, 0))
    )


def outages_survived(records: Iterable[OutageRecord]) -> Outages:
    """Outages that overlap, of whichever worker, are one; so are those with hardly a pause in between."""
    spans = sorted((r.ended_at.timestamp() - r.lasted_s, r.ended_at.timestamp()) for r in records)
    count, seconds, until_s = 0, 0.0, float("-inf")
    for begin_s, end_s in spans:
        count += begin_s - until_s > SAME_OUTAGE_S
        seconds += max(0.0, end_s - max(begin_s, until_s))
        until_s = max(until_s, end_s)
    return Outages(count=count, seconds=seconds)


def trials_per_hour(trials: Iterable[FrozenTrial]) -> float | None:
    """Finished trials per hour in which at least one was running: pauses between two launches do not count."""
    spans = sorted(
        (trial.datetime_start.timestamp(), trial.datetime_complete.timestamp())
        for trial in trials
        if trial.datetime_start is not None and trial.datetime_complete is not None
    )
    busy_s, until_s = 0.0, float("-inf")
    for start_s, end_s in spans:
        busy_s += max(0.0, end_s - max(start_s, until_s))
        until_s = max(until_s, end_s)
    return len(spans) * 3600 / busy_s if busy_s > 0 else None


def status_json(status: Status) -> str:
    """The same for a program: one JSON object, times in ISO 8601."""
    return json.dumps(asdict(status), indent=2, default=_plain)


def _counts(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
