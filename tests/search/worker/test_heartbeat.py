import threading

import pytest

from search.worker.heartbeat import Heartbeat
from storage.connection.errors import LeaseLost, StorageUnavailable


def test_a_heart_beats_until_the_end_of_the_block():
    enough, beats = threading.Event(), []

    def beat() -> None:
        beats.append(1)
        if len(beats) == 3:
            enough.set()

    with Heartbeat(beat, interval_s=0.001) as heartbeat:
        assert enough.wait(10)
        heartbeat.check()
    count = len(beats)
    assert not enough.wait(0) or len(beats) == count


def test_a_database_that_is_away_for_a_moment_does_not_stop_it(caplog):
    recovered, beats = threading.Event(), []

    def beat() -> None:
        beats.append(1)
        if len(beats) < 3:
            raise StorageUnavailable("the database is away")
        recovered.set()

    with Heartbeat(beat, interval_s=0.001) as heartbeat:
        assert recovered.wait(10)
        heartbeat.check()
    assert "the database is away" in caplog.text


def test_a_lost_lease_is_raised_in_the_workers_thread():
    met = threading.Event()

    def beat() -> None:
        met.set()
        raise LeaseLost("trial 3 is another's")

    with Heartbeat(beat, interval_s=0.001) as heartbeat:
        assert met.wait(10)
        while heartbeat._thread.is_alive():
            pass
        with pytest.raises(LeaseLost, match="trial 3"):
            heartbeat.check()
