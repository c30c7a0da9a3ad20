"""How far a study has come, from what Optuna and the outcomes say."""

from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.policy.course import Course
from trial.outcome import Outcome


def trial(number: int, state: TrialState) -> FrozenTrial:
    made = create_trial(
        state=state,
        value=0.5 if state is TrialState.COMPLETE else None,
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0, 1)},
    )
    made.number = number
    return made


TRIALS = [
    trial(0, TrialState.COMPLETE),
    trial(1, TrialState.RUNNING),  # waits
    trial(2, TrialState.PRUNED),  # refused
    trial(3, TrialState.PRUNED),  # diverged
    trial(4, TrialState.RUNNING),
    trial(5, TrialState.WAITING),
]
OUTCOMES = {0: Outcome.COMPLETE, 1: Outcome.PAUSED, 2: Outcome.RISKY, 3: Outcome.DIVERGED}
VALUES = {0: {80: 0.1, 1000: 0.5}, 1: {80: 0.2}, 3: {80: 0.1}}


def test_refused_and_waiting_trials_are_not_begun_and_those_that_pause_do_not_run():
    course = Course.of(TRIALS, OUTCOMES, [1], VALUES, fault_images={})
    assert (course.begun, course.running, course.waiting) == (4, (4,), (1,))
    assert course.values is VALUES


def test_what_a_fault_cost_past_the_last_reading_counts():
    assert Course.of(TRIALS, OUTCOMES, [1], VALUES, fault_images={3: 130}).lost_images == 50
    assert Course.of(TRIALS, OUTCOMES, [1], VALUES, fault_images={2: 16}).lost_images == 16  # none was read
    assert Course.of(TRIALS, OUTCOMES, [1], VALUES, fault_images={3: 70}).lost_images == 0
