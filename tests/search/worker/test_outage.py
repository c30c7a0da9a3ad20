import logging
import threading
import time

import pytest

from search.worker.outage import Outage
from storage.connection.errors import MachineBusy, StorageUnavailable

AWAY = StorageUnavailable("database h/d doesn't answer")
BUSY = MachineBusy("database h/d: all 16 connections that this machine may have are in use")


class Flaky:
    """Fails so many times, or once with each of these errors, then answers."""

    def __init__(self, failures: int | list[StorageUnavailable]) -> None:
        self.calls = 0
        self._failures = [AWAY] * failures if isinstance(failures, int) else failures

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= len(self._failures):
            raise self._failures[self.calls - 1]
        return "an answer"


def test_a_call_is_repeated_until_the_database_answers(caplog):
    stop = threading.Event()
    outage, flaky = Outage(stop), Flaky(2)
    with caplog.at_level(logging.WARNING):
        assert outage.insist(flaky) == "an answer"
    assert flaky.calls == 3
    assert (outage.on, len(outage.survived), stop.is_set()) == (False, 1, False)
    assert 0 < outage.survived[0].lasted_s < 5
    assert outage.since_last_s < 5
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]  # its beginning and its end


@pytest.mark.parametrize(("errors", "outages"), [([BUSY, BUSY], 0), ([BUSY, AWAY, BUSY], 1)])
def test_a_machine_whose_connections_are_all_in_use_is_no_outage(caplog, errors, outages):
    outage = Outage(threading.Event())
    with caplog.at_level(logging.INFO):
        assert outage.insist(Flaky(errors)) == "an answer"
    assert len(outage.survived) == outages
    assert not outage.on
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 2 * outages
    assert BUSY.args[0] in caplog.records[0].message  # said all the same


def test_patience_ends_and_the_worker_is_stopped():
    stop = threading.Event()
    outage = Outage(stop, give_up_s=0.3)
    began = time.monotonic()
    with pytest.raises(StorageUnavailable):
        outage.insist(Flaky(10**3))
    assert 0.3 <= time.monotonic() - began < 5
    assert stop.is_set()
    assert outage.on


def test_patience_with_one_call_ends_also_where_others_get_through():
    """A full disk: a lease can be renewed in place, but nothing can be added."""
    stop = threading.Event()
    outage = Outage(stop, give_up_s=0.3)

    def half_away() -> None:
        outage.over()  # a heartbeat, in between
        raise AWAY

    with pytest.raises(StorageUnavailable):
        outage.insist(half_away)
    assert stop.is_set()


def test_patience_counts_monotonic_seconds_whatever_the_wall_clock_says(monkeypatch):
    true_time = time.time
    stop = threading.Event()
    outage = Outage(stop, give_up_s=60)
    outage.met(AWAY)
    monkeypatch.setattr(time, "time", lambda: true_time() + 3600)
    outage.met(AWAY)
    assert not stop.is_set()


def test_a_stopped_worker_waits_for_no_database():
    stop = threading.Event()
    stop.set()
    flaky = Flaky(1)
    with pytest.raises(StorageUnavailable):
        Outage(stop).insist(flaky)
    assert flaky.calls == 1


def test_what_is_no_outage_passes_through():
    with pytest.raises(ZeroDivisionError):
        Outage(threading.Event()).insist(lambda: 1 // 0)


def test_a_database_that_was_never_away_is_not_just_back():
    assert Outage(threading.Event()).since_last_s == float("inf")
