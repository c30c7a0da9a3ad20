"""A study as samplers and pruners are shown it: what was undone leaves nothing in it, and nothing else is missing."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from storage.connection.database import Database
from storage.connection.errors import StorageError
from storage.records import LostTrainers
from storage.study import StoredStudy, create_study, find_study
from storage.study_view import StudyView, lost_trainers
from trial.outcome import Outcome

RATE = FloatDistribution(1e-4, 1.0, log=True)
WIDTH = FloatDistribution(1.0, 8.0)


class Undone(Exception):
    """Ends a transaction."""


@pytest.fixture
def stored(database: Database) -> StoredStudy:
    return create_study(database, "cells")


@pytest.fixture
def view(stored: StoredStudy) -> StudyView:
    return StudyView(stored)


def proposal(rate: float = 0.01) -> FrozenTrial:
    """A running trial that no database has yet."""
    return FrozenTrial(
        number=0, state=TrialState.RUNNING, value=None, datetime_start=datetime.now(), datetime_complete=None,
        params={"lr": rate}, distributions={"lr": RATE}, user_attrs={}, system_attrs={}, intermediate_values={},
        trial_id=-1,
    )  # fmt: skip


@contextmanager
def undone(database: Database) -> Iterator[None]:
    """A block whose transaction is undone at its end."""
    with suppress(Undone), database.together():
        yield
        raise Undone


def begin_and_undo(view: StudyView, database: Database, *, look: bool = False) -> None:
    """Begin a trial in a transaction that is undone; with `look` the view sees it meanwhile."""
    with undone(database):
        view.begin(proposal(0.5))
        if look:
            assert view.refresh()[-1].params == {"lr": 0.5}


class TestBegin:
    def test_numbers_trials_one_after_the_other(self, view: StudyView, stored: StoredStudy) -> None:
        began = [view.begin(proposal(rate)) for rate in (0.1, 0.2, 0.3)]
        assert [trial.number for trial in began] == [0, 1, 2]
        assert [trial.params["lr"] for trial in began] == [0.1, 0.2, 0.3]
        assert StudyView(stored).begin(proposal()).number == 3  # another worker's

    def test_gives_the_trial_as_it_is_stored(self, view: StudyView) -> None:
        began = view.begin(proposal(0.1))
        (read,) = view.refresh()
        assert (began._trial_id, began.state, began.params) == (read._trial_id, TrialState.RUNNING, {"lr": 0.1})
        assert read.distributions == {"lr": RATE}

    @pytest.mark.parametrize("look", [False, True])
    def test_that_is_undone_leaves_nothing(self, view: StudyView, database: Database, look: bool) -> None:
        """Optuna's own cache keeps a ghost of it, and raises a KeyError once its id is given to another trial."""
        kept = view.begin(proposal(0.1))
        view.refresh()
        begin_and_undo(view, database, look=look)
        assert [trial.number for trial in view.refresh()] == [kept.number]
        assert [trial.number for trial in view.get_trials()] == [kept.number]
        began = view.begin(proposal(0.2))
        assert (began.number, began.params) == (1, {"lr": 0.2})
        assert [trial.params["lr"] for trial in view.refresh()] == [0.1, 0.2]

    def test_after_one_that_was_undone_goes_on_to_its_end(
        self, view: StudyView, database: Database, stored: StoredStudy
    ) -> None:
        begin_and_undo(view, database, look=True)
        other = StudyView(stored).begin(proposal(0.2))  # on SQLite with the id of the one that was undone
        view.report(other.number, 160, 0.5)
        view.end(other.number, Outcome.COMPLETE)
        assert [(trial.params["lr"], trial.value) for trial in view.refresh()] == [(0.2, 0.5)]

    def test_of_an_enqueued_trial_happens_once(self, view: StudyView, stored: StoredStudy) -> None:
        view.enqueue_trial({"lr": 0.1})
        (waiting,) = view.refresh()
        assert waiting.state is TrialState.WAITING
        assert view.begin_waiting(waiting)
        (late,) = StudyView(stored).refresh()
        assert late.state is TrialState.RUNNING
        assert not StudyView(stored).begin_waiting(waiting)


class TestRefresh:
    def test_reads_what_others_wrote(self, view: StudyView, stored: StoredStudy) -> None:
        other = StudyView(stored)
        first = other.begin(proposal(0.1))
        assert [trial.number for trial in view.refresh()] == [0]
        other.report(first.number, 160, 0.25)
        other.begin(proposal(0.2))
        running, second = view.refresh()
        assert (running.intermediate_values, second.params) == ({160: 0.25}, {"lr": 0.2})
        other.end(first.number, Outcome.OUTRANKED)
        ended, _ = view.refresh()
        assert (ended.state, ended.value) == (TrialState.PRUNED, 0.25)

    def test_reads_an_earlier_trial_that_ends_after_a_later_one(self, view: StudyView, stored: StoredStudy) -> None:
        other = StudyView(stored)
        for rate in (0.1, 0.2):
            other.begin(proposal(rate))
        other.end(1, Outcome.CRASHED)
        assert [trial.state for trial in view.refresh()] == [TrialState.RUNNING, TrialState.FAIL]
        other.end(0, Outcome.DIVERGED)
        assert [trial.state for trial in view.refresh()] == [TrialState.PRUNED, TrialState.FAIL]

    def test_is_the_only_look(self, view: StudyView, stored: StoredStudy) -> None:
        view.refresh()
        StudyView(stored).begin(proposal())
        view.begin(proposal())
        assert view.get_trials(deepcopy=False) == []
        assert len(view.refresh()) == len(view.get_trials(deepcopy=False)) == 2

    def test_gives_optunas_code_the_states_that_it_asks_for(self, view: StudyView) -> None:
        for rate in (0.1, 0.2):
            view.begin(proposal(rate))
        view.end(0, Outcome.CRASHED)
        view.refresh()
        assert [trial.number for trial in view.get_trials(states=(TrialState.RUNNING,))] == [1]
        copy, seen = view.get_trials(deepcopy=True)[0], view.get_trials(deepcopy=False)[0]
        assert copy == seen
        assert copy is not seen

    def test_of_another_study_reads_none_of_its_trials(self, view: StudyView, database: Database) -> None:
        view.begin(proposal())
        assert StudyView(create_study(database, "ships")).refresh() == []

    def test_of_a_deleted_study_says_so(self, view: StudyView, database: Database) -> None:
        view.begin(proposal())
        view.refresh()
        optuna.delete_study(study_name="cells", storage=database.optuna)
        with pytest.raises(StorageError, match="study 'cells' was deleted"):
            view.refresh()

    def test_never_shows_another_study_that_got_the_id_of_a_deleted_one(
        self, view: StudyView, database: Database
    ) -> None:
        """SQLite gives it to the next one; a worker of the old one must not train the new one's trials."""
        optuna.delete_study(study_name="cells", storage=database.optuna)
        ships = create_study(database, "ships")
        StudyView(ships).begin(proposal())
        with pytest.raises(StorageError, match="study 'cells' was deleted"):
            view.refresh()

    def test_needs_a_study_that_is_there(self, database: Database) -> None:
        with pytest.raises(StorageError, match="no study 'planes'"):
            StudyView(find_study(database, "planes"))


class TestEnd:
    @pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome.final and outcome.state])
    def test_tells_optuna_the_state_the_value_and_what_cannot_work(self, view: StudyView, outcome: Outcome) -> None:
        number = view.begin(proposal()).number
        for images, ap in ((160, 0.25), (320, 0.125)):
            view.report(number, images, ap)
        view.end(number, outcome)
        (ended,) = view.refresh()
        value = None if outcome.state == "FAIL" else 0.125  # Optuna itself takes a pruned trial's last report
        assert (ended.state.name, ended.value) == (outcome.state, value)
        assert ended.constraints.get(outcome.value) == (1.0 if outcome.infeasible else None)

    def test_twice_of_one_that_cannot_work_is_one_constraint(self, view: StudyView, database: Database) -> None:
        number = view.begin(proposal()).number
        with undone(database):
            view.end(number, Outcome.DIVERGED)
        assert view.stored_trial(number).state is TrialState.RUNNING
        view.end(number, Outcome.DIVERGED)
        assert view.stored_trial(number).constraints["diverged"] == 1.0


class TestRunningTrial:
    def test_is_completed_with_the_parameters_that_it_lacks(self, view: StudyView) -> None:
        began = view.begin(proposal(0.1))
        more = proposal(0.9)
        more.params["width"], more.distributions["width"] = 2.0, WIDTH
        view.complete(began, more)
        stored = view.stored_trial(began.number)
        assert stored.params == {"lr": 0.1, "width": 2.0}
        assert stored.distributions == {"lr": RATE, "width": WIDTH}

    def test_keeps_how_many_trainers_were_lost(self, view: StudyView) -> None:
        number = view.begin(proposal()).number
        assert lost_trainers(view.stored_trial(number)) == LostTrainers(lost=0, hung=0)
        view.keep_lost_trainers(number, LostTrainers(lost=2, hung=1))
        assert lost_trainers(view.stored_trial(number)) == LostTrainers(lost=2, hung=1)
