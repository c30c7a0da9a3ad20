"""One contract for every handle of a worker: a process of this machine, or an actor's on a node.

The actor runs in a thread here, with Ray's part played by `ThreadedRay`; test_ray_cluster.py has the real one.
"""

import os
import signal
import socket
import threading
import types
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from search.engines.handle import Job, ProcessHandle, WorkerExit, WorkerHandle, log_of
from search.engines.ray_actor import WorkerActor
from search.engines.ray_handle import RayHandle
from storage.connection.database import Database
from storage.leases import Leases
from storage.standings import left_behind
from storage.study import find_study
from tests.support.workforce import found, wait_until


class RayError(Exception):
    """As Ray's: something else than the actor's own code went wrong."""


class TaskError(RayError):
    """As Ray's: an exception in the actor's code."""


class ActorDied(RayError):
    """As Ray's: what became of the actor."""

    actor_init_failed = False


class Handle:
    """An actor whose methods run in threads; `remote` returns what will be their result."""

    def __init__(self, actor: WorkerActor) -> None:
        self.actor = actor
        self._threads = ThreadPoolExecutor(max_workers=3)
        self.pending: list[Future] = []

    def __getattr__(self, name: str) -> Any:
        def remote() -> Future:
            future: Future = Future()
            self.pending.append(future)

            def run() -> None:
                try:
                    result, error = getattr(self.actor, name)(), None
                except Exception as raised:
                    result, error = None, raised
                if not future.done():  # the actor may have been killed meanwhile
                    future.set_exception(error) if error else future.set_result(result)

            self._threads.submit(run)
            return future

        return types.SimpleNamespace(remote=remote)


class ThreadedRay:
    """The four functions of Ray that a handle uses."""

    exceptions = types.SimpleNamespace(RayError=RayError, RayTaskError=TaskError)

    def wait(self, results: list[Future], timeout: float) -> tuple[list[Future], list[Future]]:
        return [r for r in results if r.done()], [r for r in results if not r.done()]

    def get(self, result: Future) -> Any:
        return result.result()

    def kill(self, handle: Handle) -> None:
        """As Ray does: the actor's process ends, and its child with it."""
        if handle.actor._process is not None:
            handle.actor._process.kill()

    def lose(self, handle: Handle, error: RayError) -> None:
        """The actor is gone, and Ray says why."""
        for future in handle.pending:
            if not future.done():
                future.set_exception(error)
        self.kill(handle)


@pytest.fixture(params=["process", "actor"])
def started(request, monkeypatch: pytest.MonkeyPatch) -> Callable[[Job], WorkerHandle]:
    """What makes a handle for a job."""
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0")

    def process(job: Job) -> WorkerHandle:
        return ProcessHandle(job, log=log_of(job.folder, 1), environment=os.environ)

    def actor(job: Job) -> WorkerHandle:
        return RayHandle(ThreadedRay(), Handle(WorkerActor(job, number=1, gpus=0)))

    return process if request.param == "process" else actor


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Two trials in SQLite."""
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    specification = found(storage, tmp_path, trials=2)
    return Job(study=specification.name, storage=storage, folder=tmp_path, options=("--checked", "--lease-s", "5"))


def end_of(worker: WorkerHandle) -> WorkerExit:
    wait_until(lambda: worker.poll() is not None, within_s=120)
    left = worker.poll()
    assert left is not None
    return left


class TestWorkerHandle:
    def test_a_worker_that_has_done_its_work_left_with_0(self, started, job):
        worker = started(job)
        assert worker.poll() is None
        assert end_of(worker) == WorkerExit(code=0)
        assert worker.poll() == WorkerExit(code=0)
        worker.stop()
        worker.kill()
        assert worker.poll() == WorkerExit(code=0)  # for ever

    def test_what_the_user_must_change_is_told(self, started, job):
        left = end_of(started(Job(study="analitic", storage=job.storage, folder=job.folder)))
        assert left.code == 2
        assert "did you mean 'analytic'" in left.said

    def test_a_stop_keeps_the_trial_and_frees_it(self, started, job, monkeypatch):
        monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.05")
        worker = started(job)
        with Database.open(job.storage) as database:
            leases = Leases(find_study(database, job.study), duration_s=5, turn_s=5)
            wait_until(leases.held, within_s=120)
            worker.stop()
            assert end_of(worker).code == 75
            assert leases.held() == []
            assert left_behind(leases.study) == [0]  # nobody has to wait for the lease

    def test_an_interrupt_ends_one_that_cannot_stop(self, started, job, monkeypatch):
        monkeypatch.setenv("FRCNN_ANALYTIC_FAULTS", "0:hang:1")
        strangers = psutil.Process().children(recursive=True)  # another file's fork server
        worker = started(job)
        struck = job.folder / "trials" / "analytic" / "00000" / "faults"
        wait_until(struck.exists, within_s=120)
        family = set(psutil.Process().children(recursive=True)) - set(strangers)
        assert family
        worker.stop()
        worker.interrupt()
        assert end_of(worker).code == 75
        assert psutil.wait_procs(family, timeout=20)[1] == []


LOSSES = {
    "node": (ActorDied("died\n\tip: 10.0.0.7\nNo health."), "ip: 10.0.0.7 No health."),
    "memory": (RayError("1 worker(s) were killed\n" + "memory\n" * 99), "1 worker(s) were killed"),
    "process": (None, f"on {socket.gethostname()}: its process was ended by SIGKILL"),
}


@pytest.mark.parametrize(("error", "said"), LOSSES.values(), ids=LOSSES)
def test_a_worker_that_is_lost_with_its_node_or_killed_there_may_start_again(job, error, said):
    ray, handle = ThreadedRay(), Handle(WorkerActor(job, number=1, gpus=0))
    worker = RayHandle(ray, handle)
    wait_until(lambda: handle.actor._process is not None, within_s=60)
    if error is None:
        handle.actor._process._process.kill()
    else:
        ray.lose(handle, error)
    assert end_of(worker) == WorkerExit(code=None, said=said)


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGKILL, "SIGKILL"), pytest.param(signal.SIGRTMIN + 1, f"signal {signal.SIGRTMIN + 1}", id="nameless")],
)
def test_a_worker_of_this_machine_that_a_signal_ended_was_lost(job, number, name):
    handle = ProcessHandle(job, log=log_of(job.folder, 1), environment=os.environ)
    os.kill(handle.pid, number)
    assert end_of(handle) == WorkerExit(code=None, said=f"its process was ended by {name}")


def test_a_bug_in_the_actor_keeps_its_traceback(job):
    handle = Handle(WorkerActor(job, number=1, gpus=0))
    handle.actor.work = lambda: (_ for _ in ()).throw(TaskError("KeyError"))
    worker = RayHandle(ThreadedRay(), handle)
    with pytest.raises(TaskError):
        end_of(worker)


def test_a_worker_that_still_waits_for_a_node_is_stopped_without_one(job, monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(WorkerActor, "host", lambda self: answer.wait(60))
    monkeypatch.setattr(WorkerActor, "work", lambda self: answer.wait(60))
    worker = RayHandle(ThreadedRay(), Handle(WorkerActor(job, number=1, gpus=0)))
    worker.stop()
    assert worker.poll() == WorkerExit(code=75)
    answer.set()


def test_a_node_without_our_code_needs_the_user(job):
    ray = ThreadedRay()
    failed = ActorDied("creation failed\nModuleNotFoundError: No module named 'search'")
    failed.actor_init_failed = True
    handle = Handle(WorkerActor(job, number=1, gpus=0))
    handle.actor.work = lambda: (_ for _ in ()).throw(failed)
    left = end_of(RayHandle(ray, handle))
    assert left == WorkerExit(
        code=2, said="a Ray node can't run our workers: ModuleNotFoundError: No module named 'search'"
    )


def test_a_folder_that_a_node_cannot_use_needs_the_user(job, tmp_path):
    (tmp_path / "file").write_text("")
    actor = WorkerActor(Job(study="s", storage=job.storage, folder=tmp_path / "file"), number=1, gpus=0)
    left = actor.work()
    assert left.code == 2
    assert f"{tmp_path / 'file'} cannot be used" in left.said
