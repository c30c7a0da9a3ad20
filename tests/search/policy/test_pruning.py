import math

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.policy.pruning import RungPruner, loses, make_pruner
from search.study.policy_section import Pruner, PrunerName

RUNGS = (160, 480, 1440)
VALUES = st.floats(0, 1)


@pytest.fixture
def study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize", pruner=RungPruner(RUNGS, factor=3), study_name="cells")


def climb(study: optuna.Study, *values: float) -> int:
    """A trial with these values at the rungs; returns the number of images at which it ended."""
    trial = study.ask()
    for rung, value in zip(RUNGS, values, strict=True):
        trial.report(value, step=rung)
        if trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return rung
    study.tell(trial, values[-1])
    return RUNGS[-1]


@pytest.mark.parametrize(
    ("own", "peers", "expected"),
    [
        pytest.param(0.1, [0.9], False, id="two of three needed: no judgement yet"),
        pytest.param(0.5, [0.9, 0.1], True, id="3 reached it, ceil(3/3) = 1 goes on, 1 is better"),
        pytest.param(0.9, [0.5, 0.1], False, id="3 reached it, the best goes on"),
        pytest.param(0.5, [0.9, 0.1, 0.2], False, id="4 reached it, ceil(4/3) = 2 go on, 1 is better"),
        pytest.param(0.5, [0.9, 0.8, 0.1, 0.2, 0.3], True, id="6 reached it, 6/3 = 2 go on, 2 are better"),
        pytest.param(0.0, [0.0, 0.0, 0.0], False, id="nobody has learned anything yet: ties go on"),
        pytest.param(0.3, [0.3, 0.3, 0.9], False, id="4 reached it, ceil(4/3) = 2, one is strictly better"),
        pytest.param(math.nan, [], True, id="not a number loses at once"),
    ],
)
def test_the_best_third_of_those_that_reached_a_rung_goes_on(own, peers, expected):
    assert loses(own, peers, factor=3) is expected


@given(st.lists(VALUES, min_size=1, max_size=40), st.integers(2, 5))
def test_somebody_always_goes_on_and_never_a_worse_one_instead_of_a_better_one(values, factor):
    kept = [v for i, v in enumerate(values) if not loses(v, values[:i] + values[i + 1 :], factor)]
    lost = [v for i, v in enumerate(values) if loses(v, values[:i] + values[i + 1 :], factor)]
    assert max(values) in kept
    assert all(loser < winner for loser in lost for winner in kept)
    if len(set(values)) == len(values) >= factor:
        assert len(kept) == math.ceil(len(values) / factor)


def test_trials_stop_at_exactly_the_rungs_of_the_list(study):
    assert climb(study, 0.5, 0.6, 0.7) == 1440
    assert climb(study, 0.1, 0.2, 0.3) == 1440  # fewer than three have reached any rung
    assert climb(study, 0.2, 0.6, 0.7) == 160  # 0.5 is better; one of three goes on
    assert climb(study, 0.4, 0.1, 0.7) == 480  # 2 of 4 go on at 160; at 480 the third of 3, behind 0.6 and 0.2
    assert climb(study, 0.9, 0.9, 0.0) == 1440  # never at the last rung, however bad


def test_a_value_between_two_rungs_is_never_judged(study):
    for value in (0.9, 0.8, 0.7):
        climb(study, value, value, value)
    trial = study.ask()
    trial.report(0.0, step=200)
    assert not trial.should_prune()


def test_trials_that_ended_before_a_rung_are_no_peers_there(study):
    for _ in range(5):
        study.tell(study.ask(), state=optuna.trial.TrialState.PRUNED)  # diverged
    assert climb(study, 0.5, 0.5, 0.5) == 1440
    assert climb(study, 0.1, 0.1, 0.1) == 1440


def test_a_running_peer_counts(study):
    for value in (0.9, 0.8):
        study.ask().report(value, step=160)
    assert climb(study, 0.1, 0.1, 0.1) == 160


def test_higher_brackets_of_hyperband_are_rarer_and_left_alone_longer():
    pruner = RungPruner(RUNGS, factor=3, brackets=3)
    brackets = [pruner.bracket("cells", trial) for trial in range(1300)]
    counts = [brackets.count(b) for b in range(3)]
    # 1300 trials at 9 : 3 : 1 are 900, 300 and 100
    assert counts[0] == pytest.approx(900, rel=0.1)
    assert counts[1] == pytest.approx(300, rel=0.2)
    assert counts[2] == pytest.approx(100, rel=0.3)
    study = optuna.create_study(direction="maximize", pruner=pruner, study_name="cells")
    ends = [climb(study, value, value, value) for value in (1 - n / 100 for n in range(60))]
    for trial, end in enumerate(ends):
        assert end >= RUNGS[brackets[trial]]
    assert {160, 480, 1440} == set(ends)


@pytest.mark.parametrize("rungs", [(), (0, 10), (20, 10), (10, 10)])
def test_rungs_must_be_increasing_positive_counts(rungs):
    with pytest.raises(ValueError, match="rungs must be increasing"):
        RungPruner(rungs, factor=3)


@pytest.mark.parametrize(("factor", "brackets"), [(1, 1), (3, 0), (3, 4)])
def test_factor_and_brackets_must_make_sense(factor, brackets):
    with pytest.raises(ValueError, match="must"):
        RungPruner(RUNGS, factor=factor, brackets=brackets)


def test_each_kind_of_a_study_file_has_its_pruner():
    made = {name: type(make_pruner(Pruner(name=name), rungs=RUNGS)) for name in PrunerName}
    assert made == {
        PrunerName.PROMOTION: optuna.pruners.NopPruner,
        PrunerName.HALVING: RungPruner,
        PrunerName.HYPERBAND: RungPruner,
        PrunerName.MEDIAN: optuna.pruners.MedianPruner,
        PrunerName.NONE: optuna.pruners.NopPruner,
    }
