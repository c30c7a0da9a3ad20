"""How a study stands: states, best so far, causes of death, pace, what runs where."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.outcomes import Outcome, spends_budget, was_refused
from search.ranking import RankedTrial, best, ranked
from storage.database import Database
from storage.leases import Leases
from storage.outcomes import read_outcomes
from storage.records import OutcomeRecord, WorkerRecord
from storage.studies import load_study, read_specification
from storage.telemetry import read_rungs
from storage.workers import read_workers

#: Ends that need no explanation; all others are causes of death.
PEACEFUL = frozenset({Outcome.COMPLETE, Outcome.SLOW, Outcome.INTERRUPTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """One outcome with one cause, and the trials that it befell."""

    outcome: str
    cause: str
    trials: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A study at one moment."""

    study: str
    storage: str  # host and database, never credentials
    states: dict[str, int]  # trials by Optuna's states, only those that occur
    outcomes: dict[str, int]
    refused: int  # proposals that were not trained, for their anchors; Optuna counts them as pruned
    budget_trials: int | None  # None: the study holds no specification
    best: RankedTrial | None
    reference: RankedTrial | None
    deaths: tuple[Death, ...]
    trials_per_hour: float | None  # None: nothing has finished
    workers: tuple[WorkerRecord, ...]
    waiting: tuple[int, ...]  # asked for, not begun
    claimable: tuple[int, ...]  # begun, and without an owner: the next worker goes on with them

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
    places = ranked(trials, outcomes, read_rungs(database, study_name, None))
    specification = read_specification(database, study_name) or {}
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
        workers=tuple(read_workers(database, study_name)),
        waiting=tuple(trial.number for trial in trials if trial.state is TrialState.WAITING),
        claimable=tuple(Leases(database, study_name).claimable()),
    )


def deaths(outcomes: Iterable[OutcomeRecord]) -> tuple[Death, ...]:
    """Causes of death, the most frequent first."""
    trials_of: dict[tuple[str, str], list[int]] = {}
    for record in outcomes:
        if record.outcome not in PEACEFUL:
            trials_of.setdefault((record.outcome, record.cause), []).append(record.trial)
    found = (Death(outcome=o, cause=c, trials=tuple(sorted(trials))) for (o, c), trials in trials_of.items())
    return tuple(sorted(found, key=lambda death: (-len(death.trials), death.outcome, death.cause)))


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


def status_report(database: Database, study_name: str) -> RenderableType:
    """The study as it stands now, for a terminal of 100 columns.

    Raises:
        StorageError: there is no such study.
    """
    return report(read_status(database, study_name))


def report(status: Status) -> RenderableType:
    """A status that was read before, for a terminal."""
    parts: list[RenderableType] = [_summary(status)]
    if status.deaths:
        parts.append(_deaths_table(status.deaths))
    if status.workers:
        parts.append(_workers_table(status.workers))
    return Group(*parts)


def _summary(status: Status) -> Table:
    table = Table.grid(padding=(0, 2))
    budget = f" of {status.budget_trials}" if status.budget_trials is not None else ""
    states = ", ".join(f"{count} {state}" for state, count in status.states.items())
    rows = {
        "study": f"{status.study} in {status.storage}",
        "trials": f"{status.finished}{budget} finished" + (f" ({states})" if states else ""),
        "best so far": _result(status.best) or "no trial has a value yet",
        "reference": _result(status.reference),
        "ended": ", ".join(f"{count} {outcome}" for outcome, count in status.outcomes.items()),
        "not trained": f"{status.refused} proposals whose anchors miss the boxes; none of the budget"
        * bool(status.refused),
        "pace": f"{status.trials_per_hour:.1f} trials per hour" if status.trials_per_hour else "",
        "waiting": _numbers(status.waiting),
        "without a worker": _numbers(status.claimable) and f"{_numbers(status.claimable)}; the next launch goes on",
    }
    for name, text in rows.items():
        if text:
            table.add_row(Text(name, style="bold"), Text(text))
    return table


def _result(trial: RankedTrial | None) -> str:
    if trial is None:
        return ""
    value = "no AP" if trial.ap is None else f"AP {trial.ap:.3f} after {trial.images} images"
    return f"trial {trial.number}: {value}, {trial.ending}"


def _deaths_table(found: Sequence[Death]) -> Table:
    table = Table(box=SIMPLE_HEAD, title="causes of death", title_justify="left")
    table.add_column("trials", justify="right")
    for heading in ("outcome", "cause", "which"):
        table.add_column(heading)
    for death in found:
        table.add_row(*map(Text, (str(len(death.trials)), death.outcome, death.cause, _numbers(death.trials))))
    return table


def _workers_table(workers: Sequence[WorkerRecord]) -> Table:
    table = Table(box=SIMPLE_HEAD, title="what runs where", title_justify="left")
    for heading in ("worker", "host", "device"):
        table.add_column(heading)
    for heading in ("trial", "images", "images/s", "seen, s ago"):
        table.add_column(heading, justify="right")
    for worker in workers:
        trial = "–" if worker.trial is None else str(worker.trial)
        cells = (worker.worker, worker.host, worker.device, trial, str(worker.images), f"{worker.images_per_s:.1f}")
        table.add_row(*map(Text, (*cells, f"{worker.age_s:.0f}")))
    return table


def _numbers(trials: Iterable[int]) -> str:
    return ", ".join(map(str, trials))


def _counts(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
