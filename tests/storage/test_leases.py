import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import optuna
import pytest
from sqlalchemy import update

from storage.connection import tables
from storage.connection.database import Database
from storage.connection.errors import LeaseHeld, LeaseLost, StorageError, StorageUnavailable
from storage.leases import Leases
from storage.standings import left_behind
from storage.study import find_study
from tests.support import contenders
from tests.support.studies import create_optuna_study

QUEUED = 60  # without locks, eight processes take a quarter of so many twice


def expire(database: Database, table: Any = tables.leases) -> None:
    """Let every lease end a second ago, by the database's clock."""
    with database.writing() as connection:
        connection.execute(update(table).where(table.c.expires_at.is_not(None)).values(expires_at=tables.clock() - 1))


@pytest.fixture
def leases(database: Database, study: optuna.Study) -> Leases:
    """Of study `cells`, which has one RUNNING trial, number 0."""
    study.ask()
    return Leases(find_study(database, "cells"), duration_s=30)


class TestLease:
    def test_begins_with_token_one_and_ends_after_its_duration(self, leases: Leases) -> None:
        lease = leases.claim(0, "anna")
        assert (lease.trial, lease.worker, lease.token) == (0, "anna", 1)
        assert abs(lease.expires_at - datetime.now(UTC) - timedelta(seconds=30)) < timedelta(seconds=2)
        assert leases.held() == [lease]

    def test_keeps_others_out_while_it_lives_and_its_own_worker_too(self, leases: Leases) -> None:
        leases.claim(0, "anna")
        for worker in ("bert", "anna"):
            with pytest.raises(LeaseHeld, match="trial 0 is held"):
                leases.claim(0, worker)

    def test_passes_on_with_the_next_token_once_expired(self, database: Database, leases: Leases) -> None:
        first = leases.claim(0, "anna")
        expire(database)
        second = leases.claim(0, "bert")
        assert (second.worker, second.token) == ("bert", first.token + 1)

    def test_refuses_everything_to_the_one_who_lost_it(self, database: Database, leases: Leases) -> None:
        lost = leases.claim(0, "anna")
        expire(database)
        kept = leases.claim(0, "bert")
        for method in (leases.renew, leases.check, leases.release):
            with pytest.raises(LeaseLost, match=r"trial 0 isn't anna's any more \(token 1\)"):
                method(lost)
        leases.check(kept)
        assert leases.held() == [kept]

    def test_can_be_renewed_after_it_expired_if_nobody_took_it(self, database: Database, leases: Leases) -> None:
        lease = leases.claim(0, "anna")
        expire(database)
        assert leases.held() == []
        leases.check(lease)
        renewed = leases.renew(lease)
        assert renewed.token == lease.token
        assert renewed.expires_at >= lease.expires_at
        assert leases.held() == [renewed]

    def test_is_free_at_once_after_its_release_and_the_next_token_still_grows(self, leases: Leases) -> None:
        lease = leases.claim(0, "anna")
        leases.release(lease)
        assert left_behind(leases.study) == [0]
        for method in (leases.renew, leases.check, leases.release):
            with pytest.raises(LeaseLost):
                method(lease)
        assert leases.claim(0, "anna").token == 2

    def test_is_not_to_be_had_for_a_trial_that_was_told(self, study: optuna.Study, leases: Leases) -> None:
        lease = leases.claim(0, "anna")
        study.tell(0, 0.5)
        leases.release(lease)
        with pytest.raises(LeaseHeld, match="trial 0 is complete"):
            leases.claim(0, "bert")
        assert leases.held() == []
        assert left_behind(leases.study) == []

    def test_needs_a_trial_and_a_study(self, database: Database, leases: Leases) -> None:
        with pytest.raises(StorageError, match="study 'cells' has no trial 7"):
            leases.claim(7, "anna")
        with pytest.raises(StorageError, match=r"no study 'cell' .* did you mean 'cells'"):
            Leases(find_study(database, "cell")).claim(0, "anna")

    def test_expires_by_the_databases_clock_however_wrong_pythons_is(
        self, database: Database, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        study.ask()
        leases = Leases(find_study(database, "cells"), duration_s=0.3)
        true_time = time.time
        monkeypatch.setattr(time, "time", lambda: true_time() + 3600)
        leases.claim(0, "anna")
        with pytest.raises(LeaseHeld):
            leases.claim(0, "fast clock")
        monkeypatch.setattr(time, "time", lambda: true_time() - 3600)
        time.sleep(0.4)
        assert leases.claim(0, "slow clock").token == 2


class TestClaimable:
    def test_lists_running_trials_that_nobody_holds(
        self, database: Database, study: optuna.Study, leases: Leases
    ) -> None:
        for _ in range(4):
            study.ask()  # trials 1 to 4, beside 0
        study.enqueue_trial({})  # trial 5 waits
        study.tell(4, 0.5)
        leases.claim(0, "anna")
        expire(database)
        leases.claim(1, "anna")
        leases.release(leases.claim(2, "anna"))
        #                               0 expired, 1 held, 2 released, 3 never leased, 4 told, 5 waiting
        assert left_behind(leases.study) == [0, 2, 3]

    def test_changes_of_hands_are_counted_by_trial(
        self, database: Database, study: optuna.Study, leases: Leases
    ) -> None:
        study.ask()
        leases.claim(1, "anna")  # once, by its first owner
        for worker in ("anna", "bert", "carl"):
            leases.claim(0, worker)
            expire(database)
        assert leases.changes_of_hands() == {0: 2}

    def test_sees_only_its_own_study(self, database: Database, leases: Leases) -> None:
        other = optuna.create_study(study_name="other", storage=database.optuna)
        other.ask()
        leases.claim(0, "anna")
        assert left_behind(find_study(database, "other")) == [0]
        assert Leases(find_study(database, "other")).claim(0, "bert").token == 1


class TestTurn:
    def test_is_one_workers_at_a_time(self, leases: Leases) -> None:
        with leases.turn("anna") as turn:
            leases.check_turn(turn)
            with pytest.raises(StorageUnavailable, match=r"had the turn for 0\.05 s"), leases.turn("bert", wait_s=0.05):
                pass
        with leases.turn("bert", wait_s=0) as next_turn:
            assert next_turn.token == turn.token + 1

    def test_is_given_anew_to_the_worker_that_has_it(self, leases: Leases) -> None:
        """Its answer was lost, so it does not know; what it saw in the turn before counts no more."""
        with leases.turn("anna") as unheard, leases.turn("anna", wait_s=0) as turn:
            assert turn.token == unheard.token + 1
            with pytest.raises(LeaseLost):
                leases.check_turn(unheard)

    def test_ends_when_the_block_raises(self, leases: Leases) -> None:
        with pytest.raises(KeyError), leases.turn("anna"):
            raise KeyError
        with leases.turn("bert", wait_s=0):
            pass

    def test_of_a_dead_worker_expires(self, database: Database, leases: Leases) -> None:
        with leases.turn("anna") as lost:
            expire(database, tables.turns)
            with leases.turn("bert", wait_s=0) as kept:
                with pytest.raises(LeaseLost, match="look at the study again"):
                    leases.check_turn(lost)
                leases.check_turn(kept)

    def test_that_was_lost_doesnt_end_its_successors(self, database: Database, leases: Leases) -> None:
        sleeper = leases.turn("anna")
        sleeper.__enter__()
        expire(database, tables.turns)
        with leases.turn("bert", wait_s=0) as kept:
            sleeper.__exit__(None, None, None)
            leases.check_turn(kept)
            with pytest.raises(StorageUnavailable), leases.turn("carl", wait_s=0):
                pass


class TestRaces:
    def test_a_claim_that_waited_while_the_holder_told_the_trial_comes_too_late(self, postgresql_url: str) -> None:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        with Database.open(postgresql_url) as database, ThreadPoolExecutor(1) as pool:
            study = create_optuna_study(database, "cells", sampler=optuna.samplers.RandomSampler())
            study.ask()
            leases = Leases(find_study(database, "cells"))
            leases.claim(0, "anna")
            with database.writing() as holder:
                holder.execute(update(tables.leases).values(expires_at=None))
                late = pool.submit(leases.claim, 0, "bert")
                while not holder.exec_driver_sql(waiting).scalar_one():
                    time.sleep(0.01)
                study.tell(0, 0.5)
            with pytest.raises(LeaseHeld, match="trial 0 is complete"):
                late.result()
            assert leases.held() == []

    def test_no_queued_trial_is_given_to_two_of_eight_processes(
        self, url: str, database: Database, study: optuna.Study
    ) -> None:
        for queued in range(QUEUED):
            study.enqueue_trial({}, user_attrs={"queued": queued})
        got = Counter(number for numbers in contenders.race(contenders.ask_until_dry, url) for number in numbers)
        assert got == Counter(range(QUEUED))

    def test_an_expired_lease_is_claimed_by_exactly_one_of_eight(
        self, url: str, database: Database, study: optuna.Study
    ) -> None:
        leases = Leases(find_study(database, "cells"))
        for trial in range(12):
            study.ask()
            leases.claim(trial, "dead")
        expire(database)
        winners = contenders.race(contenders.claim_each, url, 12)
        won = Counter(trial for tokens in winners for trial in tokens)
        assert won == Counter(range(12))
        assert {token for tokens in winners for token in tokens.values()} == {2}

    def test_processes_that_take_turns_ask_for_exactly_as_many_trials_as_there_may_be(
        self, url: str, database: Database, study: optuna.Study
    ) -> None:
        asked = contenders.race(contenders.ask_in_turn, url, 15)
        assert sum(asked) == 15 == len(study.trials)
