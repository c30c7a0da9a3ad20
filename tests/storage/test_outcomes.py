import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState
from optuna_dashboard._serializer import serialize_frozen_trial

from storage.connection.database import Database
from storage.connection.errors import StorageError
from storage.outcomes import mark_infeasible, read_outcome, read_outcomes, record_outcome
from storage.records import OutcomeRecord
from storage.study import find_study
from tests.support.studies import create_optuna_study

DIVERGED = OutcomeRecord(
    trial=0,
    outcome="diverged",
    cause="rpn box loss",
    message="The RPN's box loss grew 40-fold within 8 steps.",
    step=37,
    images=592,
    evidence={"loss": math.nan, "lr": 2.0, "gradient norm": math.inf, "term": "nan"},
)
INTERRUPTED = replace(DIVERGED, outcome="interrupted", cause="SIGTERM", message="Stopped.", step=20, evidence={})

MOMENT = timedelta(milliseconds=1)  # a time of Python has microseconds, the database's more


def written(database: Database, trial: int = 0) -> OutcomeRecord:
    record = read_outcome(find_study(database, "cells"), trial)
    assert record is not None
    return replace(record, recorded_at=None)


class TestOutcome:
    def test_comes_back_as_it_was_recorded_with_the_databases_time(
        self, database: Database, study: optuna.Study
    ) -> None:
        study.ask()
        record_outcome(find_study(database, "cells"), DIVERGED.trial, DIVERGED)
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
            record_outcome(
                find_study(database, "cells"), (replace(DIVERGED, trial=trial)).trial, replace(DIVERGED, trial=trial)
            )
        first, second = (record.recorded_at for record in read_outcomes(find_study(database, "cells")))
        assert first is not None
        assert second is not None
        assert [record.trial for record in read_outcomes(find_study(database, "cells"), since=first - MOMENT)] == [0, 1]
        assert 1 in [record.trial for record in read_outcomes(find_study(database, "cells"), since=second - MOMENT)]
        assert read_outcomes(find_study(database, "cells"), since=second + timedelta(seconds=1)) == []

    def test_is_final_unless_it_was_an_interruption(self, database: Database, study: optuna.Study) -> None:
        study.ask()
        record_outcome(find_study(database, "cells"), INTERRUPTED.trial, INTERRUPTED)
        record_outcome(
            find_study(database, "cells"), (replace(INTERRUPTED, step=25)).trial, replace(INTERRUPTED, step=25)
        )
        assert written(database).step == 25
        record_outcome(find_study(database, "cells"), DIVERGED.trial, DIVERGED)
        for late in (INTERRUPTED, replace(DIVERGED, outcome="complete"), DIVERGED):
            record_outcome(find_study(database, "cells"), late.trial, late)
        assert written(database).outcome == "diverged"
        assert study.trials[0].user_attrs["outcome"] == "diverged"

    def test_stands_in_the_trials_attributes_for_the_dashboard(self, database: Database, study: optuna.Study) -> None:
        study.ask()
        record_outcome(find_study(database, "cells"), DIVERGED.trial, DIVERGED)
        assert study.trials[0].user_attrs == {
            "outcome": "diverged",
            "cause": "rpn box loss",
            "message": "The RPN's box loss grew 40-fold within 8 steps.",
            "stopped at step": 37,
            "stopped at images": 592,
        }

    def test_of_a_told_trial_is_kept_in_our_table_alone(self, database: Database, study: optuna.Study) -> None:
        study.tell(study.ask(), 0.5)
        record_outcome(find_study(database, "cells"), DIVERGED.trial, DIVERGED)
        assert written(database).outcome == "diverged"
        assert study.trials[0].user_attrs == {}

    def test_of_a_process_that_wrote_rubbish_is_kept_without_it(self, database: Database, study: optuna.Study) -> None:
        study.ask()
        record_outcome(
            find_study(database, "cells"),
            (replace(DIVERGED, outcome="crashed", message="a\0b\udc80c é")).trial,
            replace(DIVERGED, outcome="crashed", message="a\0b\udc80c é"),
        )
        assert written(database).message == "a\N{REPLACEMENT CHARACTER}b?c é"

    def test_needs_its_trial(self, database: Database, study: optuna.Study) -> None:
        with pytest.raises(StorageError, match="study 'cells' has no trial 0"):
            record_outcome(find_study(database, "cells"), DIVERGED.trial, DIVERGED)

    def test_are_read_by_trial_number_and_study(self, database: Database, study: optuna.Study) -> None:
        other = create_optuna_study(database, "other")
        other.ask()
        record_outcome(find_study(database, "other"), DIVERGED.trial, DIVERGED)
        for _ in range(3):
            study.ask()
        for trial in (2, 0):
            record_outcome(
                find_study(database, "cells"), (replace(DIVERGED, trial=trial)).trial, replace(DIVERGED, trial=trial)
            )
        assert [record.trial for record in read_outcomes(find_study(database, "cells"))] == [0, 2]


class TestInfeasible:
    def test_is_seen_by_samplers_and_by_the_dashboard(self, database: Database, study: optuna.Study) -> None:
        trial = study.ask()
        for _ in range(2):  # again after a crash: no warning, no change
            mark_infeasible(database, study, trial, "diverged")
        study.tell(trial, state=TrialState.PRUNED)
        healthy = study.ask()
        study.tell(healthy, 0.25)
        infeasible, feasible = study.trials
        assert infeasible.constraints == {"0": 1.0, "diverged": 1.0}
        assert serialize_frozen_trial(study._study_id, infeasible, {})["constraints"] == [1.0]
        assert serialize_frozen_trial(study._study_id, feasible, {})["constraints"] == []
        assert study.best_trial.number == healthy.number

    def test_keeps_a_better_value_from_being_the_best(self, database: Database, study: optuna.Study) -> None:
        bad, good = study.ask(), study.ask()
        mark_infeasible(database, study, bad, "out of memory")
        study.tell(bad, 0.9)
        study.tell(good, 0.1)
        assert study.best_trial.number == good.number

    def test_must_be_a_trial_of_the_study(self, database: Database, study: optuna.Study) -> None:
        other = create_optuna_study(database, "other")
        with pytest.raises(ValueError, match="trial 0 isn't one of study 'other'"):
            mark_infeasible(database, other, study.ask(), "diverged")
