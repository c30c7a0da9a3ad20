"""How far a study has come, as its schedule looks at it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from search.policy.promotion import Values, last_rung
from trial.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How far a study has come."""

    begun: int  # trials; no refused proposals
    running: tuple[int, ...]  # with an owner or without
    waiting: tuple[int, ...]  # paused at the last rung that they have a value of
    values: Values  # of all trials that were read at a rung, ended ones included
    settled: bool = False  # no new trial is worth its training
    lost_images: int = 0  # that trials were trained past their last reading until they ended

    @classmethod
    def of(
        cls,
        trials: Sequence[FrozenTrial],
        outcomes: Mapping[int, Outcome],
        waiting: Collection[int],
        values: Values,
        *,
        fault_images: Mapping[int, int],
        settled: bool = False,
    ) -> "Course":
        """What the study's trials and outcomes say; those that wait were read before them.

        `fault_images` says after how many images trials ended that ended by a fault.
        """
        refused = sum(outcome.refused for outcome in outcomes.values())
        running = (trial.number for trial in trials if trial.state is TrialState.RUNNING)
        return cls(
            begun=sum(trial.state is not TrialState.WAITING for trial in trials) - refused,
            running=tuple(number for number in running if number not in waiting),
            waiting=tuple(sorted(waiting)),
            values=values,
            settled=settled,
            lost_images=sum(max(0, at - last_rung(values.get(trial, {}))) for trial, at in fault_images.items()),
        )
