"""The pool's policy, with handles that do as they are told."""

import time

import pytest

from search.engines.handle import WorkerExit
from search.launch import worker_pool as pool_module
from search.launch.worker_pool import MOST_QUICK_LOSSES, WorkerPool

LOST = WorkerExit(code=None, said="node-b died")


class ToldHandle:
    """A handle whose worker ends when a test says so."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.end: WorkerExit | None = None
        self.after_stop = WorkerExit(code=75)
        self.calls: list[str] = []

    def poll(self) -> WorkerExit | None:
        return self.end

    def stop(self) -> None:
        self.calls.append("stop")
        self.end = self.end or self.after_stop

    def interrupt(self) -> None:
        self.calls.append("interrupt")

    def kill(self) -> None:
        self.calls.append("kill")
        self.end = self.end or WorkerExit(code=-9)


@pytest.fixture
def handles() -> list[ToldHandle]:
    """All that were started, in order."""
    return []


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def pool(handles, said) -> WorkerPool:
    """Two workers."""

    def start(number: int) -> ToldHandle:
        handles.append(ToldHandle(number))
        return handles[-1]

    return WorkerPool(start, workers=2, say=said.append)


def not_complete() -> bool:
    return False


def test_workers_are_numbered_from_one_and_tended_until_all_have_left(pool, handles):
    assert [handle.number for handle in handles] == [1, 2]
    assert pool.supervise()
    handles[0].end = WorkerExit(code=0)
    assert pool.supervise()
    handles[1].end = WorkerExit(code=0)
    assert not pool.supervise()
    assert pool.leave(complete=lambda: True).code == 0


def test_a_worker_that_is_lost_is_started_again_with_its_number(pool, handles, said):
    handles[1].end = LOST
    assert pool.supervise()
    assert [handle.number for handle in handles] == [1, 2, 2]
    assert handles[1].calls == ["kill"]  # should it only have been out of sight
    assert said == ["worker 2 was lost: node-b died; it is started again"]
    handles[0].end = handles[2].end = WorkerExit(code=0)
    assert not pool.supervise()
    assert pool.leave(complete=lambda: True).code == 0


def test_machines_that_are_lost_again_and_again_at_once_are_given_up(pool, handles, said, monkeypatch):
    """The second start in a row waits for 1 s, each next one twice as long: 1 + 2 + 4 + 8 s."""
    now_s = time.monotonic()
    monkeypatch.setattr(pool_module.time, "monotonic", lambda: now_s)
    for wait_s in (0, 1, 2, 4, 8):
        started = len(handles)
        handles[-1].end = LOST
        pool.supervise()
        if wait_s:
            now_s += wait_s - 0.01
            pool.supervise()
            assert len(handles) == started
            now_s += 0.02
            pool.supervise()
        assert len(handles) == started + 1
    assert [line.rpartition("again")[2] for line in said] == ["", " in 1 s", " in 2 s", " in 4 s", " in 8 s"]
    handles[-1].end = LOST
    pool.supervise()
    assert len(handles) == 2 + MOST_QUICK_LOSSES
    assert pool.supervise()  # the other one works
    handles[0].end = WorkerExit(code=0)
    assert not pool.supervise()
    ended = pool.leave(complete=not_complete)
    assert (ended.code, ended.messages) == (1, ("worker 2 was lost 6 times in a row: node-b died",))


def test_preemption_never_uses_up_the_patience(pool, handles, monkeypatch):
    """Each machine holds for longer than it takes to be settled."""
    now_s = time.monotonic()
    monkeypatch.setattr(pool_module.time, "monotonic", lambda: now_s)
    for _ in range(10 * MOST_QUICK_LOSSES):
        now_s += pool_module.SETTLED_S + 1
        handles[-1].end = LOST
        assert pool.supervise()
    assert len(handles) == 2 + 10 * MOST_QUICK_LOSSES


def test_one_worker_that_needs_the_user_ends_the_tending_and_his_words_are_kept(pool, handles):
    handles[0].end = WorkerExit(code=2, said="other data")
    assert not pool.supervise()
    pool.stop()
    ended = pool.leave(complete=not_complete)
    assert (ended.code, ended.messages) == (2, ("other data",))
    assert handles[1].calls == ["stop"]


@pytest.mark.parametrize(
    ("ends", "complete", "code"),
    [
        pytest.param((75, 75), False, 75, id="stopped"),
        pytest.param((0, 75), False, 75, id="one was stopped"),
        pytest.param((0, None), False, 75, id="lost while leaving"),
        pytest.param((-9, 0), False, 1, id="one was killed"),
        pytest.param((-9, 0), True, 0, id="one was killed, the other finished the study"),
        pytest.param((1, 75), False, 1, id="a bug"),
    ],
)
def test_one_exit_code_stands_for_all(pool, handles, ends, complete, code):
    for handle, end in zip(handles, ends, strict=True):
        handle.end = WorkerExit(code=end)
    assert pool.leave(complete=lambda: complete).code == code


def test_who_does_not_leave_in_time_is_ended(pool, handles, monkeypatch):
    monkeypatch.setattr(pool_module, "LEAVE_LIMIT_S", 0.2)
    handles[0].after_stop = None
    pool.stop()
    pool.interrupt()
    assert pool.leave(complete=not_complete).code == 1
    assert handles[0].calls == ["stop", "interrupt", "kill"]
    assert handles[1].calls == ["stop", "interrupt"]


def test_a_worker_that_leaves_because_its_disk_is_full_is_told_at_once_and_once(pool, handles, said):
    handles[0].end = WorkerExit(code=75, said="no space left on device")
    assert pool.supervise()
    assert pool.supervise()
    assert said == ["worker 1 left: no space left on device"]
    handles[1].end = WorkerExit(code=0)
    assert not pool.supervise()
    assert pool.leave(complete=not_complete).messages == ()
