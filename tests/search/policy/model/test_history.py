"""What a study's trials tell, as they go on."""

import numpy as np
import optuna
from optuna.trial import TrialState

from search.policy.model.cube import Cube
from search.policy.model.history import FEWEST_ROWS, History
from spaces.faster_rcnn import Space

SPACE = Space.default()
RUNGS = (100, 400)


def begun(study: optuna.Study) -> optuna.Trial:
    trial = study.ask()
    SPACE.suggest(trial)
    return trial


def study_of(count: int) -> tuple[optuna.Study, list[optuna.Trial]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return study, [begun(study) for _ in range(count)]


def test_a_trial_is_pending_then_read_then_read_again_at_the_next_rung():
    study, (trial,) = study_of(1)
    history = History(Cube.of(SPACE), RUNGS)
    assert len(history.evidence(study.get_trials(deepcopy=False)).pending) == 1
    trial.report(0.25, 100)
    once = history.evidence(study.get_trials(deepcopy=False))
    assert len(once.pending) == 0
    assert once.readings[0, 0] == 0.25
    assert np.isnan(once.readings[0, 1])
    trial.report(0.5, 400)
    assert list(history.evidence(study.get_trials(deepcopy=False)).readings[0]) == [0.25, 0.5]


def test_who_came_later_knows_what_another_has_seen_all_along():
    study, trials = study_of(2 * FEWEST_ROWS + 3)
    old = History(Cube.of(SPACE), RUNGS)
    for number, trial in reversed(list(enumerate(trials))):
        old.evidence(study.get_trials(deepcopy=False))
        if number % 5 == 0:
            continue
        trial.report(0.01 * number, 100)
        if number % 5 == 1:
            trial.set_constraint("diverged", 1.0)
        study.tell(trial, state=TrialState.PRUNED)
    seen = old.evidence(study.get_trials(deepcopy=False))
    new = History(Cube.of(SPACE), RUNGS).evidence(study.get_trials(deepcopy=False))
    for name in ("read", "readings", "errors", "failed", "pending"):
        assert np.array_equal(getattr(seen, name), getattr(new, name), equal_nan=True)
    assert [len(new.read), len(new.failed), len(new.pending)] == [78, 26, 27]


def test_the_trial_that_asks_tells_nothing_itself():
    study, _ = study_of(3)
    evidence = History(Cube.of(SPACE), RUNGS).evidence(study.get_trials(deepcopy=False), but=1)
    assert len(evidence.pending) == 2


def test_a_trial_that_the_database_lost_and_another_of_its_number_are_told_apart():
    study, trials = study_of(3)
    history, shown = History(Cube.of(SPACE), RUNGS), study.get_trials(deepcopy=False)
    history.evidence(shown)
    assert len(history.evidence(shown[:2]).pending) == 2
    trials[2].report(0.3, 100)
    assert history.evidence(study.get_trials(deepcopy=False)).readings[0, 0] == 0.3
