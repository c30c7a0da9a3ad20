"""How a study stands: states, best so far, causes of death, pace, what runs where."""

import contextlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from detector.config import ConfigError
from search.policy.model.prospect import Prospect
from search.policy.settlement import Settlement, read_settlement
from search.report.certainty import alike
from search.report.outlook import hourly_prospect
from search.report.ranking import RankedTrial, best, ranked
from search.report.untrained import read_untrained
from search.study.specification import Specification, specification_from_json
from search.study.storage_url import default_storage
from storage.leases import Leases
from storage.outages import read_outages
from storage.outcomes import read_outcomes
from storage.records import LostTrainers, OutageRecord, OutcomeRecord, RungRecord, WorkerRecord
from storage.standings import count_standings, left_behind, paused
from storage.study import StoredStudy, read_specification, read_trials
from storage.study_view import lost_trainers
from storage.telemetry import read_rungs
from storage.workers import read_workers
from trial.standing import Standing

SAME_OUTAGE_S = 10.0  # a full disk lets a heartbeat through now and then


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """One outcome with one cause, and the trials that it befell."""

    outcome: str
    cause: str  # as the verdicts have it
    words: str  # what that means, for a person
    trials: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState(WorkerRecord):
    """A worker, and to which of the rungs its trial is on the way."""

    rung: int | None  # from 1; None: it has no trial
    rungs: int | None  # None: the study holds no specification


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLosses(LostTrainers):
    """The trainers that were lost under one trial."""

    trial: int


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
    finished: int  # trials that were trained
    paused: tuple[int, ...]  # trials that wait at a rung, and go on if they are promoted
    budget_trials: int | None  # None: the study holds no specification
    best: RankedTrial | None
    alike: tuple[RankedTrial, ...]  # trials whose AP can't be told from the best one's
    reference: RankedTrial | None
    untrained_ap: float | None  # of the detector before any training; None: not measured
    deaths: tuple[Death, ...]
    trials_per_hour: float | None  # None: nothing has finished
    settled: Settlement | None  # why no new trial begins
    another_hour: Prospect | None  # what it is likely to bring; None: too little was read
    workers: tuple[WorkerState, ...]
    waiting: tuple[int, ...]  # asked for, not begun
    claimable: tuple[int, ...]  # begun, and without an owner: the next worker goes on with them
    changed_hands: dict[int, int]  # how often a trial passed to another worker unplanned; only those that did
    lost_trainers: tuple[TrialLosses, ...]
    outages: Outages
    disk_mib: int | None  # of checkpoints and logs on this machine; None: nobody said where they lie


def read_status(study: StoredStudy, *, folders: Iterable[Path] | None = None) -> Status:
    """The study as it stands now; its checkpoints and logs on this machine lie in those folders."""
    trials, outcomes, rungs = read_trials(study), read_outcomes(study), read_rungs(study)
    refused = {record.trial for record in outcomes if record.outcome.refused}
    standings = count_standings(study)
    places = ranked(trials, outcomes, rungs)
    specification = _understood(read_specification(study) or {})
    pace = trials_per_hour(trial for trial in trials if trial.number not in refused)
    return Status(
        study=study.name,
        storage=study.database.label,
        states=_counts(trial.state.name.lower() for trial in trials),
        outcomes=_counts(record.outcome for record in outcomes),
        refused=standings[Standing.REFUSED],
        finished=standings[Standing.FINISHED] + standings[Standing.ENDED_ELSEWHERE],
        paused=tuple(paused(study)),
        budget_trials=specification.trials if specification else None,
        best=best(places),
        alike=alike(places),
        untrained_ap=read_untrained(study),
        reference=next((place for place in places if place.is_reference), None),
        deaths=deaths(outcomes),
        trials_per_hour=pace,
        settled=read_settlement(study),
        another_hour=hourly_prospect(specification, trials, pace),
        workers=worker_states(read_workers(study), rungs, len(specification.rungs) if specification else None),
        waiting=tuple(trial.number for trial in trials if trial.state is TrialState.WAITING),
        claimable=tuple(left_behind(study)),
        changed_hands=unplanned(Leases(study).changes_of_hands(), trials, specification),
        lost_trainers=trial_losses(trials),
        outages=outages_survived(read_outages(study)),
        disk_mib=None if folders is None else disk_mib(folders),
    )


def unplanned(
    changes: Mapping[int, int], trials: Iterable[FrozenTrial], specification: Specification | None
) -> dict[int, int]:
    """The changes of hands that no pause at a rung explains: who paused is claimed again, to go on or to be told."""
    if specification is None or not specification.pruner.pauses:
        return dict(changes)
    read = {trial.number: sum(rung < specification.rungs[-1] for rung in trial.intermediate_values) for trial in trials}
    left = {trial: count - read.get(trial, 0) for trial, count in changes.items()}
    return {trial: count for trial, count in left.items() if count > 0}


def disk_mib(folders: Iterable[Path]) -> int:
    """How much the files in the folders hold, in MiB, rounded up. What vanishes meanwhile counts nothing."""
    size_bytes = 0
    for folder in folders:
        for directory, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError):
                    size_bytes += os.lstat(os.path.join(directory, name)).st_size
    return math.ceil(size_bytes / 2**20)


def deaths(outcomes: Iterable[OutcomeRecord]) -> tuple[Death, ...]:
    """Causes of death, the most frequent first."""
    trials_of: dict[tuple[str, str, str], list[int]] = {}
    for record in outcomes:
        if record.outcome.fault:
            trials_of.setdefault((record.outcome, record.cause, record.words), []).append(record.trial)
    found = (
        Death(outcome=o, cause=c, words=w, trials=tuple(sorted(trials))) for (o, c, w), trials in trials_of.items()
    )
    return tuple(sorted(found, key=lambda death: (-len(death.trials), death.outcome, death.cause, death.words)))


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


def _understood(document: dict[str, Any]) -> Specification | None:
    """The stored specification, as far as this program understands it."""
    try:
        return specification_from_json(document, storage=default_storage("any"))
    except ConfigError:
        return None


def trial_losses(trials: Iterable[FrozenTrial]) -> tuple[TrialLosses, ...]:
    """The trials under which a trainer was lost, by number."""
    losses = ((trial.number, lost_trainers(trial)) for trial in trials)
    return tuple(TrialLosses(trial=number, **asdict(lost)) for number, lost in losses if lost.lost)


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
