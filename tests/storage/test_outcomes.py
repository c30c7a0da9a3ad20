import math
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState
from optuna_dashboard._serializer import serialize_frozen_trial

from storage.connection.database import Database
from storage.connection.errors import StorageError
from storage.outcomes import read_outcome, read_outcomes, record_outcome
from storage.study import find_study
from storage.study_view import StudyView
from tests.support.studies import create_optuna_study
from trial.outcome import Outcome
from trial.verdict import Verdict

DIVERGED = Verdict(
    outcome=Outcome.DIVERGED,
    cause="rpn box loss",
    message="The RPN's box loss grew 40-fold within 8 steps.",
    step=37,
    images=592,
    evidence={"loss": math.nan, "lr": 2.0, "gradient norm": math.inf, "term": "nan"},
)
INTERRUPTED = replace(DIVERGED, outcome=Outcome.INTERRUPTED, cause="SIGTERM", message="Stopped.", step=20, evidence={})

MOMENT = timedelta(milliseconds=1)  # a time of Python has microseconds, the database's more


def written(database: Database, trial: int = 0) -> Verdict:
    record = read_outcome(find_study(database, "cells"), trial)
    assert record is not None
    return Verdict(**{field.name: getattr(record, field.name) for field in fields(Verdict)})


class TestOutcome:
    def test_comes_back_as_it_was_recorded_with_the_databases_time(
        self, database: Database, study: optuna.Study
    ) -> None:
        study.ask()
        record_outcome(find_study(database, "cells"), 0, DIVERGED)
        assert repr(written(database)) == repr(DIVERGED)  # repr, because NaN equals nothing
        recorded_at = read_outcomes(find_study(database, "cells"))[0].recorded_at
        assert recorded_at is not None
        assert abs(recorded_at - datetime.now(UTC)) < timedelta(seconds=5)

    def test_is_none_before_the_end(self, database: Database, study: optuna.Study) -> None:
        study.ask()
        assert read_outcome(find_study(database, "cells"), 0) is None
        assert read_outcomes(find_study(database, "cells")) == []

    def test_is_among_the_latest_from_the_moment_of_its_recording_on(
        self, database: Database, study: optuna.Study
    ) -> None:
        for trial in (0, 1):
            study.ask()
            record_outcome(find_study(database, "cells"), trial, DIVERGED)
        first, second = (record.recorded_at for record in read_outcomes(find_study(database, "cells")))
        assert first is not None
        assert second is not None
        assert [record.trial for record in read_outcomes(find_study(database, "cells"), since=first - MOMENT)] == [0, 1]
        assert 1 in [record.trial for record in read_outcomes(find_study(database, "cells"), since=second - MOMENT)]
        assert read_outcomes(find_study(database, "cells"), since=second + timedelta(seconds=1)) == []

    def test_is_final_unless_it_was_an_interruption(self, database: Database, study: optuna.Study) -> None:
        study.ask()
        record_outcome(find_study(database, "cells"), 0, INTERRUPTED)
        record_outcome(find_study(database, "cells"), 0, replace(INTERRUPTED, step=25))
        assert written(database).step == 25
        record_outcome(find_study(database, "cells"), 0, DIVERGED)
        for late in (INTERRUPTED, replace(DIVERGED, outcome=Outcome.COMPLETE), DIVERGED):
            record_outcome(find_study(database, "cells"), 0, late)
        assert written(database).outcome == "diverged"
        assert study.trials[0].user_attrs["outcome"] == "diverged"

    def test_stands_in_the_trials_attributes_for_the_dashboard(self, database: Database, study: optuna.Study) -> None:
        study.ask()
        record_outcome(find_study(database, "cells"), 0, DIVERGED)
        assert study.trials[0].user_attrs == {
            "outcome": "diverged",
            "cause": "rpn box loss",
            "message": "The RPN's box loss grew 40-fold within 8 steps.",
            "stopped at step": 37,
            "stopped at images": 592,
        }

    def test_of_a_told_trial_is_kept_in_our_table_alone(self, database: Database, study: optuna.Study) -> None:
        study.tell(study.ask(), 0.5)
        record_outcome(find_study(database, "cells"), 0, DIVERGED)
        assert written(database).outcome == "diverged"
        assert study.trials[0].user_attrs == {}

    def test_of_a_process_that_wrote_rubbish_is_kept_without_it(self, database: Database, study: optuna.Study) -> None:
        study.ask()
        record_outcome(
            find_study(database, "cells"),
            0,
            replace(DIVERGED, outcome=Outcome.CRASHED, message="a\0b\udc80c é"),
        )
        assert written(database).message == "a\N{REPLACEMENT CHARACTER}b?c é"

    def test_needs_its_trial(self, database: Database, study: optuna.Study) -> None:
        with pytest.raises(StorageError, match="study 'cells' has no trial 0"):
            record_outcome(find_study(database, "cells"), 0, DIVERGED)

    def test_are_read_by_trial_number_and_study(self, database: Database, study: optuna.Study) -> None:
        other = create_optuna_study(database, "other")
        other.ask()
        record_outcome(find_study(database, "other"), 0, DIVERGED)
        for _ in range(3):
            study.ask()
        for trial in (2, 0):
            record_outcome(find_study(database, "cells"), trial, DIVERGED)
        assert [record.trial for record in read_outcomes(find_study(database, "cells"))] == [0, 2]


class TestInfeasible:
    def test_is_seen_by_samplers_and_by_the_dashboard(self, database: Database, study: optuna.Study) -> None:
        study.ask()
        StudyView(find_study(database, "cells")).end(0, Outcome.DIVERGED)
        healthy = study.ask()
        study.tell(healthy, 0.25)
        infeasible, feasible = study.trials
        assert (infeasible.state, infeasible.constraints) == (TrialState.PRUNED, {"0": 1.0, "diverged": 1.0})
        assert serialize_frozen_trial(study._study_id, infeasible, {})["constraints"] == [1.0]
        assert serialize_frozen_trial(study._study_id, feasible, {})["constraints"] == []
        assert study.best_trial.number == healthy.number

    def test_is_said_once_where_the_end_is_told_again_after_a_crash(
        self, database: Database, study: optuna.Study
    ) -> None:
        trial = study.ask()
        trial.set_constraint("diverged", 1.0)
        StudyView(find_study(database, "cells")).end(0, Outcome.DIVERGED)  # no warning, which would be an error
        assert study.trials[0].constraints == {"0": 1.0, "diverged": 1.0}
