import pytest
from hypothesis import given
from hypothesis import strategies as st

from trial.outcome import Outcome
from trial.standing import Standing, standing

STATES = ("WAITING", "RUNNING", "COMPLETE", "PRUNED", "FAIL")  # Optuna's
OUTCOMES = st.none() | st.sampled_from(Outcome)


@pytest.mark.parametrize(
    ("state", "outcome", "leased", "expected"),
    [
        ("WAITING", None, False, Standing.WAITING),
        ("RUNNING", None, True, Standing.RUNNING),
        ("RUNNING", None, False, Standing.LEFT_BEHIND),  # its lease ended, or its worker died before it had one
        ("RUNNING", Outcome.INTERRUPTED, False, Standing.LEFT_BEHIND),
        ("RUNNING", Outcome.INTERRUPTED, True, Standing.RUNNING),  # another worker goes on with it
        ("RUNNING", Outcome.PAUSED, False, Standing.PAUSED),
        ("RUNNING", Outcome.PAUSED, True, Standing.RUNNING),  # promoted: a worker goes on with it
        ("PRUNED", Outcome.PAUSED, False, Standing.ENDED_ELSEWHERE),
        ("RUNNING", Outcome.DIVERGED, True, Standing.RUNNING),  # recorded, and about to be told
        ("COMPLETE", Outcome.COMPLETE, False, Standing.FINISHED),
        ("PRUNED", Outcome.OUTRANKED, False, Standing.FINISHED),
        ("PRUNED", Outcome.DIVERGED, False, Standing.FINISHED),
        ("FAIL", Outcome.CRASHED, False, Standing.FINISHED),
        ("FAIL", None, False, Standing.ENDED_ELSEWHERE),  # somebody told it by hand
        ("COMPLETE", Outcome.INTERRUPTED, False, Standing.ENDED_ELSEWHERE),
        ("COMPLETE", Outcome.ENDED_ELSEWHERE, False, Standing.FINISHED),  # recorded meanwhile
        ("PRUNED", Outcome.HOPELESS, False, Standing.REFUSED),
        ("PRUNED", Outcome.RISKY, False, Standing.REFUSED),
        ("FAIL", Outcome.INVALID, False, Standing.REFUSED),
        ("RUNNING", Outcome.RISKY, True, Standing.REFUSED),  # recorded, and about to be told
    ],
)
def test_a_trial_stands_where_state_outcome_and_lease_say(
    state: str, outcome: Outcome | None, leased: bool, expected: Standing
) -> None:
    assert standing(state, outcome, leased=leased) is expected


@given(state=st.sampled_from(STATES).filter(lambda state: state != "RUNNING"), outcome=OUTCOMES)
def test_the_lease_matters_only_to_a_running_trial(state: str, outcome: Outcome | None) -> None:
    assert standing(state, outcome, leased=True) is standing(state, outcome, leased=False)


@given(state=st.sampled_from(STATES), outcome=OUTCOMES, leased=st.booleans())
def test_a_trial_is_refused_exactly_where_its_outcome_is(state: str, outcome: Outcome | None, leased: bool) -> None:
    refused = outcome is not None and outcome.refused
    assert (standing(state, outcome, leased=leased) is Standing.REFUSED) == refused


def test_whatever_was_begun_spends_the_budget_unless_it_was_refused() -> None:
    assert {stands for stands in Standing if stands.spends_budget} == {
        Standing.RUNNING,
        Standing.PAUSED,
        Standing.LEFT_BEHIND,
        Standing.FINISHED,
        Standing.ENDED_ELSEWHERE,
    }
