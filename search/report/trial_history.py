"""The trials of a study as workers left them: what each one tried, how it ended, what it cost."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from optuna.trial import FrozenTrial, TrialState

from detector.config import ConfigError, Hyperparameters, Optimizer
from search.plan import as_launched
from search.study.specification import Specification
from spaces.catalogue import RATES
from spaces.faster_rcnn import Space
from spaces.parameters import Value
from storage.outcomes import read_outcomes
from storage.records import OutcomeRecord, RungRecord
from storage.study import StoredStudy, read_trials
from storage.telemetry import read_rungs
from trial.cause_words import RULE
from trial.outcome import Outcome
from trial.verdict import WARNINGS

LEARNED_AP = 0.02  # an untrained detector has 0.004 on BCCD
IMAGES = "images"  # evidence of the watch: file names of the failing batch, one a line


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrialRecord:
    """One trial that has begun."""

    trial: FrozenTrial
    outcome: OutcomeRecord | None  # None while it runs
    rungs: tuple[RungRecord, ...]  # by images
    point: Mapping[str, Value]  # every parameter's value, those that the study fixes included
    hyperparameters: Hyperparameters | None  # None: the point isn't one of the study's space

    @property
    def number(self) -> int:
        return self.trial.number

    @property
    def ending(self) -> Outcome | None:
        """How it ended; None while it runs."""
        return self.outcome.outcome if self.outcome else None

    @property
    def failed(self) -> bool:
        """Whether it ended by a fault, of its configuration or of anything else.

        A fault that every trial would meet stops the study, and leaves the trial that met it interrupted.
        """
        return self.ending is not None and (self.ending.fault or (not self.ending.final and bool(self.rule)))

    @property
    def refused(self) -> bool:
        """Whether it was never trained."""
        return self.ending is not None and self.ending.refused

    @property
    def healthy(self) -> bool:
        """Whether it trained until it was done, or until its peers were better."""
        return self.ending is not None and self.ending.healthy

    @property
    def rule(self) -> str:
        """The rule of the watch that fired; empty where none did."""
        return str(self.outcome.evidence.get(RULE, "")) if self.outcome else ""

    @property
    def images(self) -> int:
        """Training images seen."""
        return max([self.outcome.images if self.outcome else 0, *(rung.images for rung in self.rungs)])

    @property
    def batch_images(self) -> tuple[str, ...]:
        """File names of the batch in which it failed; empty where they were not recorded."""
        names = str(self.outcome.evidence.get(IMAGES, "")) if self.outcome else ""
        return tuple(filter(None, names.splitlines()))

    @property
    def warnings(self) -> dict[str, str]:
        """What the watch said without ending the trial: by rule, where and what."""
        lines = str(self.outcome.evidence.get(WARNINGS, "")).splitlines() if self.outcome else []
        parts = [line.partition(" at step ") for line in lines]
        return {rule: f"at step {rest}" for rule, found, rest in parts if found}

    @property
    def rate_parameter(self) -> str:
        """The name of the parameter that holds this trial's learning rate."""
        return RATES[Optimizer(str(self.point.get("optimizer", Optimizer.SGD)))]

    @property
    def score(self) -> float:
        """A number for ranking: rungs passed plus the AP at the last, and below zero for a failure."""
        values = [rung.ap for rung in self.rungs if math.isfinite(rung.ap)]
        return -1.0 if self.failed else len(values) + values[-1] if values else 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialHistory:
    """The trials of a study that have begun, by number, and the study's specification as it was launched.

    Proposals that were refused stand aside: nothing was seen of them, so they explain nothing.
    """

    specification: Specification
    storage: str  # host and database, never credentials
    records: tuple[TrialRecord, ...]
    refused: tuple[TrialRecord, ...]

    @classmethod
    def of(cls, specification: Specification, storage: str, records: Sequence[TrialRecord]) -> "TrialHistory":
        """The history of these trials, refused ones among them."""
        refused = tuple(record for record in records if record.refused)
        begun = tuple(record for record in records if not record.refused)
        return cls(specification=specification, storage=storage, records=begun, refused=refused)

    @property
    def study(self) -> str:
        return self.specification.name

    @property
    def space(self) -> Space:
        return self.specification.space

    @cached_property
    def failures(self) -> tuple[TrialRecord, ...]:
        return tuple(record for record in self.records if record.failed)

    @cached_property
    def healthy(self) -> tuple[TrialRecord, ...]:
        return tuple(record for record in self.records if record.healthy)

    @property
    def ended(self) -> int:
        """How many trials failed or were healthy."""
        return len(self.failures) + len(self.healthy)

    @cached_property
    def best(self) -> TrialRecord | None:
        """The healthy trial that went furthest with the highest AP, or None while none was evaluated."""
        return max(
            (record for record in self.healthy if record.score > 0), key=lambda record: record.score, default=None
        )

    @property
    def has_learned(self) -> bool:
        """Whether the best trial detects anything; before, the order of healthy trials is noise."""
        return self.best is not None and self.best.rungs[-1].ap >= LEARNED_AP

    def record(self, number: int) -> TrialRecord:
        """The record of that trial.

        Raises:
            ConfigError: no trial of that number has begun; the message names those that have.
        """
        found = next((record for record in (*self.records, *self.refused) if record.number == number), None)
        if found is None:
            raise ConfigError(f"study {self.study!r} has no trial {number} that has begun; {self._numbers()}")
        return found

    def _numbers(self) -> str:
        if not self.records:
            return "none has yet; go on with `launch`"
        return f"they are {self.records[0].number} to {self.records[-1].number}"


def read_trial_history(study: StoredStudy, specification: Specification) -> TrialHistory:
    """The history of the study, as it stands now.

    Raises:
        ConfigError: the study was never launched.
    """
    launched = as_launched(study, storage=specification.storage)
    records = trial_records(launched, read_trials(study), read_outcomes(study), read_rungs(study))
    return TrialHistory.of(launched, study.database.label, records)


def trial_records(
    specification: Specification,
    trials: Iterable[FrozenTrial],
    outcomes: Iterable[OutcomeRecord],
    rungs: Iterable[RungRecord],
) -> tuple[TrialRecord, ...]:
    """A record of each trial of that study that has begun, from what storage has of them."""
    outcome_of = {record.trial: record for record in outcomes}
    rungs_of: dict[int, list[RungRecord]] = {}
    for rung in rungs:
        rungs_of.setdefault(rung.trial, []).append(rung)
    return tuple(
        TrialRecord(
            trial=trial,
            outcome=outcome_of.get(trial.number),
            rungs=tuple(rungs_of.get(trial.number, ())),
            point=specification.point(trial.number, trial.params),
            hyperparameters=_hyperparameters(specification, trial),
        )
        for trial in trials
        if trial.state is not TrialState.WAITING
    )


def _hyperparameters(specification: Specification, trial: FrozenTrial) -> Hyperparameters | None:
    try:
        return specification.hyperparameters(trial.number, trial.params)
    except ConfigError:  # a person may have enqueued anything
        return None
