import pytest

from search.dashboard import attempts as attempts_module
from search.dashboard.attempts import FREE, LONGEST_WAIT_S, MOST_ADDRESSES, Attempts


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(attempts_module.time, "monotonic", lambda: now[0])
    return now


def test_the_first_wrong_passwords_cost_nothing_and_each_next_one_twice_as_long(clock, caplog):
    attempts, waits = Attempts(), []
    for _ in range(FREE + 8):
        waits.append(attempts.wait_s("10.0.0.7"))
        attempts.failed("10.0.0.7")
    assert waits == [0] * FREE + [1, 2, 4, 8, 16, 32, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert "a wrong password for the dashboard from 10.0.0.7, 13 by now" in caplog.text


def test_others_do_not_wait_and_the_right_password_forgives(clock):
    attempts = Attempts()
    for _ in range(FREE):
        attempts.failed("10.0.0.7")
    assert (attempts.wait_s("10.0.0.7"), attempts.wait_s("10.0.0.8")) == (1, 0)
    clock[0] += 1
    assert attempts.wait_s("10.0.0.7") == 0
    attempts.succeeded("10.0.0.7")
    attempts.failed("10.0.0.7")
    assert attempts.wait_s("10.0.0.7") == 0


def test_no_crowd_of_addresses_fills_the_memory(clock):
    attempts = Attempts()
    for number in range(2 * MOST_ADDRESSES):
        attempts.failed(str(number))
    assert len(attempts._failures) == MOST_ADDRESSES
