"""A study as Optuna's samplers and pruners are shown it: read when we say so, not each time that one of them asks."""

from collections.abc import Container, Iterable
from copy import copy as shallow
from copy import deepcopy as copied
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.trial import FrozenTrial, TrialState

from storage.connection import tables
from storage.records import LostTrainers
from storage.study import StoredStudy, read_trials
from trial.outcome import Outcome

_LEGACY_CONSTRAINTS = "constraints"
_LOST = ("crashes", "hangs")  # user attributes


class StudyView(optuna.Study):
    """An Optuna study whose trials are those of the last `refresh`. For one thread.

    Samplers ask for all trials several times for each proposal, and each time is seven statements; what they are to
    judge by is one state of the study anyway. It remembers only what it has read, never what it has written, so that
    a transaction that was undone leaves nothing behind.
    """

    def __init__(self, study: StoredStudy, *, pruner: optuna.pruners.BasePruner | None = None) -> None:
        self._stored = study
        self._seen: list[FrozenTrial] = []
        self._paused: frozenset[int] = frozenset()
        with study.database.guarded():
            super().__init__(study.name, study.database.optuna, pruner=pruner)
        self._rows = study.database.optuna
        self._storage = self._rows  # without the cache that Optuna puts in between

    def refresh(self) -> list[FrozenTrial]:
        """Read what is new, and return all trials by number; they must not be changed.

        Raises:
            StorageError: the study was deleted.
        """
        finished = [trial for trial in self._seen if trial.state.is_finished()]
        unfinished = {trial._trial_id for trial in self._seen if not trial.state.is_finished()}
        newest = max((trial._trial_id for trial in finished), default=-1)
        read = read_trials(self._stored, newer_than=newest, also=unfinished)
        known = {trial._trial_id: trial for trial in (*finished, *read)}
        self._seen = sorted(known.values(), key=lambda trial: trial.number)
        return self._seen

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials by number, as `refresh` has read them last; they must not be changed."""
        return self._seen

    def know_paused(self, trials: Iterable[int]) -> None:
        """Show samplers these running trials as pruned ones, by what they reached: nobody knows whether they go on."""
        self._paused = frozenset(trials)

    def stored_trial(self, number: int) -> FrozenTrial:
        """That trial as it is stored now."""
        with self._stored.database.guarded():
            return self._rows.get_trial(self._id_of(number))

    def begin(self, proposal: FrozenTrial) -> FrozenTrial:
        """Store a proposal as a trial, in one go; as it is stored, with the number that it was given."""
        trial = copied(proposal)
        trial.params = {}  # Optuna would store them one by one
        with self._stored.database.guarded(), self._stored.database.together():
            trial = self._rows._create_new_trial(self._stored.id, trial)
            self.complete(trial, proposal)
        trial.params = proposal.params
        return trial

    def begin_waiting(self, trial: FrozenTrial) -> bool:
        """Let a trial that somebody enqueued run; False where another did so before."""
        with self._stored.database.guarded():
            return self._rows.set_trial_state_values(trial._trial_id, TrialState.RUNNING)

    def complete(self, trial: FrozenTrial, proposal: FrozenTrial) -> None:
        """Store the parameters of the proposal that the running trial lacks, all at once."""
        lacking = {name: proposal.distributions[name] for name in proposal.params if name not in trial.params}
        rows = [
            {
                "trial_id": trial._trial_id,
                "param_name": name,
                "param_value": distribution.to_internal_repr(proposal.params[name]),
                "distribution_json": distribution_to_json(distribution),
            }
            for name, distribution in lacking.items()
        ]
        if rows:  # a study may fix them all
            with self._stored.database.writing() as connection:
                connection.execute(tables.optuna_params.insert(), rows)

    def report(self, number: int, rung: int, ap: float, **attributes: Any) -> None:
        """Store a running trial's value at a rung, and what else is to be known of it."""
        with self._stored.database.guarded():
            trial_id = self._id_of(number)
            self._rows.set_trial_intermediate_value(trial_id, rung, ap)
            for key, value in attributes.items():
                self._rows.set_trial_system_attr(trial_id, key, value)

    def keep_lost_trainers(self, number: int, lost: LostTrainers) -> None:
        """Store how many trainers were lost under a running trial."""
        with self._stored.database.guarded():
            for name, count in zip(_LOST, (lost.lost, lost.hung), strict=True):
                if count:
                    self._rows.set_trial_user_attr(self._id_of(number), name, count)

    def end(self, number: int, outcome: Outcome) -> None:
        """Tell Optuna that a running trial ended so; a complete one has the value of its last rung."""
        with self._stored.database.guarded():
            if outcome.infeasible:
                self._mark_infeasible(number, outcome)
            values = self.stored_trial(number).intermediate_values
            value = values[max(values)] if outcome is Outcome.COMPLETE else None
            self.tell(number, value, state=TrialState[outcome.state])

    def _mark_infeasible(self, number: int, outcome: Outcome) -> None:
        """Mark a running trial's configuration as one that cannot work, for samplers and for the dashboard.

        Samplers read the named constraint. The dashboard (0.21) reads only the list of older Optuna versions, so that
        is written too; its place in `Trial.constraints` is called "0". Trials without constraints count as feasible.
        """
        trial = optuna.Trial(self, self._id_of(number))
        self._rows.set_trial_system_attr(trial._trial_id, _LEGACY_CONSTRAINTS, [1.0])
        if outcome.value not in trial.constraints:
            trial.set_constraint(outcome.value, 1.0)

    def _id_of(self, number: int) -> int:
        return self._rows.get_trial_id_from_study_id_trial_number(self._stored.id, number)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        """Where Optuna's own code looks, by its private name."""
        shown = [self._shown(trial) for trial in self._seen] if self._paused else self._seen
        seen = shown if states is None else [trial for trial in shown if trial.state in states]
        return copied(seen) if deepcopy else seen

    def _shown(self, trial: FrozenTrial) -> FrozenTrial:
        if trial.number not in self._paused or trial.state is not TrialState.RUNNING:
            return trial
        shown = shallow(trial)
        shown.state = TrialState.PRUNED
        return shown


def lost_trainers(trial: FrozenTrial) -> LostTrainers:
    """How many trainers were lost under that trial."""
    lost, hung = (int(trial.user_attrs.get(name, 0)) for name in _LOST)
    return LostTrainers(lost=lost, hung=hung)
