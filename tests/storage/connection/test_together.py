import os
import socket
import threading
import time

import optuna
import pytest
from optuna.trial import TrialState

from storage.connection import answers
from storage.connection.database import Database
from storage.connection.errors import LeaseLost, StorageUnavailable
from storage.leases import Leases
from storage.outcomes import read_outcome, record_outcome
from storage.study import find_study
from storage.study_view import StudyView
from tests.storage.test_leases import expire
from tests.support.studies import load_optuna_study
from trial.outcome import Outcome
from trial.verdict import Verdict

DIVERGED = Verdict(outcome=Outcome.DIVERGED, cause="", message="", step=3, images=48)


class TestTogether:
    def test_optunas_writes_and_ours_are_committed_at_once(self, database: Database, study: optuna.Study) -> None:
        trial = study.ask()
        with database.together():
            record_outcome(find_study(database, "cells"), 0, DIVERGED)
            trial.report(0.5, step=160)
            StudyView(find_study(database, "cells")).end(0, Outcome.DIVERGED)
            assert read_outcome(find_study(database, "cells"), 0) is not None  # the block sees its own writes
        stored = study.trials[0]
        assert (stored.state, stored.value, stored.constraints["diverged"]) == (TrialState.PRUNED, 0.5, 1.0)
        assert stored.user_attrs["outcome"] == "diverged"

    def test_a_block_that_raises_leaves_nothing_of_either(self, database: Database, study: optuna.Study) -> None:
        def end_and_fail() -> None:
            with database.together():
                record_outcome(find_study(database, "cells"), 0, DIVERGED)
                study.tell(0, 0.5)
                study.ask()
                raise KeyError

        study.ask()
        with pytest.raises(KeyError):
            end_and_fail()
        assert read_outcome(find_study(database, "cells"), 0) is None
        again = load_optuna_study(database, "cells")  # the other object has cached what was undone
        assert [stored.state for stored in again.trials] == [TrialState.RUNNING]
        again.tell(0, 0.25)  # Optuna works as before
        assert load_optuna_study(database, "cells").trials[0].value == 0.25

    def test_another_thread_is_not_drawn_in(self, database: Database, study: optuna.Study) -> None:
        if database.engine.dialect.name == "sqlite":
            pytest.skip("SQLite has one writer, which the other thread would wait for")
        seen = []
        with database.together():
            study.set_user_attr("inside", 1)
            reader = threading.Thread(target=lambda: seen.append(dict(study.user_attrs)))
            reader.start()
            reader.join()
        assert seen == [{}]
        assert study.user_attrs == {"inside": 1}


class TestFence:
    def test_lets_the_holder_write_also_after_expiry(self, database: Database, study: optuna.Study) -> None:
        trial = study.ask()
        leases = Leases(find_study(database, "cells"))
        lease = leases.claim(0, "anna")
        expire(database)
        with leases.fenced(lease):
            study.tell(trial, 0.5)
            leases.release(lease)
        assert study.trials[0].value == 0.5
        assert leases.was_released(lease)

    def test_lets_no_write_of_a_stale_token_through(self, database: Database, study: optuna.Study) -> None:
        trial = study.ask()
        leases = Leases(find_study(database, "cells"))
        stale = leases.claim(0, "anna")
        expire(database)
        leases.claim(0, "bert")
        for write in (lambda: trial.report(0.1, step=160), lambda: study.tell(trial, 0.1)):
            with pytest.raises(LeaseLost), leases.fenced(stale):
                write()
        stored = study.trials[0]
        assert (stored.state, stored.intermediate_values) == (TrialState.RUNNING, {})
        assert not leases.was_released(stale)

    def test_keeps_a_claim_waiting_until_the_holder_has_told(self, postgresql_url: str) -> None:
        """The window between check and write: an expired lease is claimed exactly there."""
        with Database.open(postgresql_url) as database:
            study = optuna.create_study(study_name="cells", storage=database.optuna)
            trial = study.ask()
            leases = Leases(find_study(database, "cells"))
            lease = leases.claim(0, "anna")
            expire(database)
            refused: list[Exception] = []

            def take_over() -> None:
                try:
                    leases.claim(0, "bert")
                except Exception as error:
                    refused.append(error)

            thief = threading.Thread(target=take_over)
            with leases.fenced(lease):
                thief.start()
                thief.join(0.3)
                assert thief.is_alive()  # it waits for the row
                study.tell(trial, 0.5)
                leases.release(lease)
            thief.join()
            assert "trial 0 is complete" in str(refused[0])


class TestSilence:
    def test_of_a_server_ends_the_wait(self, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with Database.open(postgresql_url) as database:  # with patience: on a busy machine its tables take a while
            monkeypatch.setattr(answers, "ANSWER_LIMIT_S", 0.5)
            with pytest.raises(StorageUnavailable), database.reading() as connection:
                connection.exec_driver_sql("SELECT pg_sleep(30)")
            with database.reading() as connection:  # a new connection
                assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1

    def test_of_a_client_in_a_transaction_gives_its_locks_to_others(
        self, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As of a machine that lost its power there."""
        lock = "LOCK TABLE version_info IN ACCESS EXCLUSIVE MODE"
        monkeypatch.setattr(answers, "SILENCE_LIMIT_S", 1.0)

        def one_that_falls_silent(silent: Database) -> None:
            with silent.together() as connection:
                connection.exec_driver_sql(lock)
                began_s = time.monotonic()
                with Database.open(postgresql_url) as other, other.writing() as waiting:
                    waiting.exec_driver_sql(lock)
                assert 0.5 < time.monotonic() - began_s < 10
                connection.exec_driver_sql("SELECT 1")

        with Database.open(postgresql_url) as silent:
            with pytest.raises(StorageUnavailable):
                one_that_falls_silent(silent)
            with silent.reading() as connection:  # a new connection
                assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1

    def test_of_a_dead_connection_ends_the_whole_block(self, postgresql_url: str) -> None:
        with Database.open(postgresql_url) as database:

            def create_on_a_dead_connection() -> None:
                with database.together() as connection:
                    driver = connection.connection.driver_connection
                    assert driver is not None
                    with socket.socket(fileno=os.dup(driver.pgconn.socket)) as copy:
                        copy.shutdown(socket.SHUT_RDWR)
                    optuna.create_study(study_name="cells", storage=database.optuna)

            with pytest.raises(StorageUnavailable):
                create_on_a_dead_connection()
            assert optuna.get_all_study_names(database.optuna) == []
