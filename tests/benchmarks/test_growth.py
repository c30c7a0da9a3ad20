"""A study that was grown by copying is one that Optuna and our workers go on with."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from benchmarks.parts.analytic_study import STUDY, found
from benchmarks.parts.bare_worker import BareWorker
from benchmarks.parts.growth import grow
from search.report.status import read_status
from storage.connection.database import Database
from storage.study import find_study
from tests.support.studies import load_optuna_study


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_grown_study_has_so_many_different_trials_and_goes_on(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sqlite = kind == "sqlite"
    url = f"sqlite:///{tmp_path / 'study.db'}" if sqlite else str(request.getfixturevalue("postgresql_url"))
    plan = found(url, tmp_path, trials=100)
    with Database.open(url) as database:
        worker = BareWorker(database, plan, seed=0)
        for _ in range(3):
            worker.run()
        grow(database, STUDY, 25)
        worker.run()  # one that had seen the first three
        BareWorker(database, plan, seed=1).run()
        trials = load_optuna_study(database, STUDY).trials
        assert [trial.number for trial in trials] == list(range(27))
        assert all(trial.state.is_finished() for trial in trials)
        assert len({str(trial.params) for trial in trials}) == 27
        assert trials[24].intermediate_values == trials[0].intermediate_values
        assert read_status(find_study(database, STUDY)).finished == 27
        assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert len(worker.took["tell"]) == 4
    assert all(took.wall_s >= 0 for took in worker.took["ask or claim"])
