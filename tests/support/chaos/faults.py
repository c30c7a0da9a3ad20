"""The faults: each strikes a study at work, and says whether it is seen to have happened."""

import contextlib
import os
import random
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import optuna
import psutil
from optuna.trial import TrialState

from storage.connection import tables
from storage.connection.database import Database
from storage.study import find_study
from tests.conftest import restart_postgresql
from tests.support.chaos.place import Place
from tests.support.chaos.workers import LEASE_S, Started, Workers
from tests.support.fault_proxy import Mode
from tests.support.studies import load_optuna_study

BUSY_PER_CORE = 10
BUSY_S = 5
CLOCK_OFF_S = 600
SMALL_FILE_BYTES = 65536  # a worker's notes stay below it, a database doesn't
OPENERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A study at work, and who draws what happens to it."""

    place: Place
    folder: Path
    workers: Workers
    random: random.Random
    busy: list[subprocess.Popen[bytes]] = field(default_factory=list)  # processes that do nothing else

    def victim(self) -> psutil.Process | None:
        """A worker at work, if there is one."""
        alive = self.workers.alive()
        return self.random.choice(alive) if alive else None

    def while_away_s(self, least_s: float, most_leases: float) -> float:
        """For how long something is away."""
        return self.random.uniform(least_s, most_leases * LEASE_S)


Fault = Callable[[Scene], bool]


def worker_killed(scene: Scene) -> bool:
    victim = scene.victim()
    return victim is not None and scene.workers.kill(victim)


def trainer_killed(scene: Scene) -> bool:
    victim = scene.victim()
    trainers = victim.children() if victim else []
    if not trainers:
        return False
    trainers[0].kill()
    return True


def worker_stopped(scene: Scene) -> bool:
    """For longer than its lease: a zombie."""
    victim = scene.victim()
    if victim is None:
        return False
    victim.suspend()
    time.sleep(1.5 * LEASE_S)
    stopped = victim.status() == psutil.STATUS_STOPPED
    victim.resume()
    return stopped


def worker_told_to_go(scene: Scene) -> bool:
    victim = scene.victim()
    if victim is None or not (scene.folder / "history" / f"{victim.pid}.jsonl").exists():
        return False  # it is still starting, or others have all the trials
    return scene.workers.dismiss(victim)


def clock_off(scene: Scene) -> bool:
    """Another worker takes over, whose clock is ten minutes off."""
    victim = scene.victim()
    if victim is None or not isinstance(scene.workers, Started):
        return False
    scene.workers.variables = {"TEST_CLOCK_OFFSET_S": str(scene.random.choice([-CLOCK_OFF_S, CLOCK_OFF_S]))}
    return scene.workers.kill(victim)


def machine_busy(scene: Scene) -> bool:
    """From now on for a while; the next faults strike on a busy machine."""
    for _ in range(BUSY_PER_CORE * (os.cpu_count() or 1)):
        scene.busy.append(subprocess.Popen(["timeout", str(BUSY_S), "yes"], stdout=subprocess.DEVNULL))
    time.sleep(1)
    return sum(one.name() == "yes" for one in psutil.process_iter(["name"])) >= BUSY_PER_CORE


def disk_full(scene: Scene) -> bool:
    """A trainer's checkpoints, and a database in a file, can't be written for a while."""
    victim = scene.victim()
    trainers = victim.children() if victim else []
    if victim is None or not trainers:
        return False
    limits = {trainers[0].pid: 1} | ({victim.pid: SMALL_FILE_BYTES} if scene.place.proxy is None else {})
    with small_files(limits):
        time.sleep(scene.while_away_s(1.0, 2.0))
    return True


@contextmanager
def small_files(limits: dict[int, int]) -> Iterator[None]:
    """Those processes can write no file beyond so many bytes: the error is that of a full disk, of a quota."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    try:
        for pid, most_bytes in limits.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
        yield
    finally:
        for pid in limits:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)


def trial_told(scene: Scene) -> bool:
    """Somebody ends a running trial with Optuna's own command."""
    with Database.open(scene.place.direct) as database:
        study = load_optuna_study(database, "analytic")
        running = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
        if not running:
            return False
        number = scene.random.choice(running).number
        with contextlib.suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):  # it has just ended
            study.tell(number, state=scene.random.choice([TrialState.FAIL, TrialState.PRUNED]))
            return True
    return False


def server_killed(scene: Scene) -> bool:
    victim = psutil.Process(scene.place.server.get_pid())
    victim.kill()
    victim.wait(10)
    time.sleep(scene.while_away_s(0.2, 1.0))
    restart_postgresql(scene.place.server)
    return not victim.is_running()


def network_cut(scene: Scene) -> bool:
    return _through_proxy(scene, "refused", Mode.REFUSE)


def server_silent(scene: Scene) -> bool:
    return _through_proxy(scene, "swallowed", Mode.SWALLOW)


def _through_proxy(scene: Scene, sign: str, mode: Mode) -> bool:
    proxy = scene.place.proxy
    assert proxy is not None
    before = proxy.counts[sign]
    proxy.set_mode(mode)
    time.sleep(scene.while_away_s(0.5, 2.0))
    proxy.set_mode(Mode.PASS)
    return proxy.counts[sign] > before


def commit_lost(scene: Scene) -> bool:
    proxy = scene.place.proxy
    assert proxy is not None
    proxy.cut_commit(after=scene.random.randrange(4))
    return _counted(scene, "commits cut")


def server_away_in_ask(scene: Scene) -> bool:
    """The server goes away between the ask and its commit, and stays away for a while."""
    return _away_at(scene, b"INSERT INTO trials ")


def server_away_in_claim(scene: Scene) -> bool:
    return _away_at(scene, f"INSERT INTO {tables.leases.name} ".encode())


def _away_at(scene: Scene, statement: bytes) -> bool:
    proxy = scene.place.proxy
    assert proxy is not None
    away_s = scene.while_away_s(0.5, 2.0)
    proxy.leave_at(statement, away_s)
    struck = _counted(scene, "left")
    proxy.leave_at(b"", 0.0)
    time.sleep(away_s if struck else 0.0)
    return struck


def _counted(scene: Scene, sign: str, within_s: float = 5.0) -> bool:
    proxy = scene.place.proxy
    assert proxy is not None
    before, deadline = proxy.counts[sign], time.monotonic() + within_s
    while proxy.counts[sign] == before and time.monotonic() < deadline:
        time.sleep(0.02)
    return proxy.counts[sign] > before


def schema_upgraded(scene: Scene) -> bool:
    """The database becomes one of an older program's, and several processes open it at once."""
    context = get_context("forkserver")
    with Database.open(scene.place.direct) as database, database.writing() as connection:  # as version 1 left it
        tables.outages.drop(connection)
        connection.execute(tables.schema.update().values(version=1))
    openers = [context.Process(target=_open, args=(scene.place.direct,)) for _ in range(OPENERS)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(60)
    codes = [opener.exitcode for opener in openers]
    assert codes == [0] * OPENERS, f"processes that brought the schema up to date ended with {codes}"
    return True


def _open(url: str) -> None:
    with Database.open(url) as database:
        find_study(database, "analytic")


EVERYWHERE: dict[str, Fault] = {
    "worker killed": worker_killed,
    "trainer killed": trainer_killed,
    "worker stopped": worker_stopped,
    "worker told to go": worker_told_to_go,
    "clock off": clock_off,
    "machine busy": machine_busy,
    "disk full": disk_full,
    "trial told": trial_told,
}
WITH_A_SERVER: dict[str, Fault] = {
    "server killed": server_killed,
    "network cut": network_cut,
    "server silent": server_silent,
    "commit lost": commit_lost,
    "server away in ask": server_away_in_ask,
    "server away in claim": server_away_in_claim,
}


def strike(name: str, scene: Scene) -> bool:
    """Strike that fault. Returns whether it is seen to have happened: its victim may just have left."""
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        return (EVERYWHERE | WITH_A_SERVER)[name](scene)
    return False
