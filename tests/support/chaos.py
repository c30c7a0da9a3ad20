"""Random faults on a running study, and a check of every process's own notes afterwards.

    python -m tests.support.chaos [--faults 200] [--seed 0]

Studies of analytic trials, on SQLite and PostgreSQL in turn; ten faults each, drawn by the seed: kill a worker, kill a
trainer, stop a worker for longer than a lease, tell a worker to go; on PostgreSQL also kill the server, cut all
connections, let the server fall silent, lose the answer of a commit. A fault counts only if it is seen to have
happened. The trainer is the analytic one: this says nothing of detectors.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from search.exit_codes import ExitCode
from search.faults import history
from search.faults.history import HistoryEvent
from storage.connection.database import Database
from tests.conftest import create_postgresql_database, restart_postgresql, start_postgresql
from tests.support.fault_proxy import FaultProxy, Mode, proxied
from tests.support.history_checker import Tally, check_history, read_history
from tests.support.workforce import found, leave, start_worker

FAULTS_PER_STUDY = 10
TRIALS = 12
WORKERS = 2
LEASE_S = 2.0
RUNGS = (160, 480, 1440)
STUCK_S = 240.0  # after the last fault, a study of seconds has long ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a study lies: the storage URL of its workers, the one around the proxy; on PostgreSQL server and proxy."""

    url: str
    direct: str
    proxy: FaultProxy | None = None
    server: Any = None


class Chaos:
    """One study under fire. `struck` counts the faults that really happened; `killed` are workers' process ids."""

    def __init__(self, place: Place, folder: Path, seed: int) -> None:
        self.struck: Counter[str] = Counter()
        self.killed: set[int | None] = set()
        self._place = place
        self._folder = folder
        self._random = random.Random(seed)
        self._workers: list[BaseProcess] = []
        self._arsenal: list[Callable[[], None]] = [
            self._kill_worker,
            self._kill_trainer,
            self._stop_worker,
            self._dismiss_worker,
        ]
        if place.proxy is not None:
            self._arsenal += [self._kill_server, self._cut_network, self._silence_server, self._lose_commit]

    def run(self, faults: int) -> None:
        """Strike so many times, or until the study is complete; then let it end."""
        while sum(self.struck.values()) < faults and not self._complete():
            self._refill()
            time.sleep(self._random.uniform(0.3, 1.5))
            self._random.choice(self._arsenal)()
        deadline = time.monotonic() + STUCK_S
        while not self._complete():
            assert time.monotonic() < deadline, f"stuck: the study is not complete {STUCK_S:g} s after the last fault"
            self._refill()
            time.sleep(0.2)
        for worker in self._workers:
            assert leave(worker, STUCK_S) == 0

    def _complete(self) -> bool:
        return bool(self._workers) and any(worker.exitcode == 0 for worker in self._workers)

    def _refill(self) -> None:
        codes = {worker.exitcode for worker in self._workers} - {None, 0, ExitCode.TRY_LATER, -signal.SIGKILL}
        assert not codes, f"a worker ended with {codes}"
        self._workers = [worker for worker in self._workers if worker.exitcode in (None, 0)]
        while len(self._workers) < WORKERS:
            self._workers.append(start_worker(self._place.url, self._folder, lease_s=LEASE_S))

    def _victim(self) -> BaseProcess:
        return self._random.choice(self._workers)

    def _kill_worker(self) -> None:
        victim = self._victim()
        victim.kill()
        if leave(victim) == -signal.SIGKILL:
            self.killed.add(victim.pid)
            self.struck["worker killed"] += 1

    def _kill_trainer(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            trainer = psutil.Process(self._victim().pid).children()[0]
            trainer.kill()
            self.struck["trainer killed"] += 1

    def _stop_worker(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):  # it may just have done its work and left
            victim = psutil.Process(self._victim().pid)
            victim.suspend()
            time.sleep(1.5 * LEASE_S)
            self.struck["worker stopped"] += victim.status() == psutil.STATUS_STOPPED
            victim.resume()

    def _dismiss_worker(self) -> None:
        victim = self._victim()
        if not (self._folder / "history" / f"{victim.pid}.jsonl").exists():
            return  # it is still starting, or others have all the trials
        victim.terminate()
        self.struck["worker told to go"] += leave(victim) == ExitCode.TRY_LATER
        if victim.exitcode == -signal.SIGTERM:  # it was still starting, and had nothing to give back
            self._workers.remove(victim)

    def _kill_server(self) -> None:
        server = self._place.server
        victim = psutil.Process(server.get_pid())
        victim.kill()
        victim.wait(10)
        self.struck["server killed"] += not victim.is_running()
        time.sleep(self._random.uniform(0.2, LEASE_S))
        restart_postgresql(server)

    def _cut_network(self) -> None:
        self._struck_through_proxy("network cut", "refused", Mode.REFUSE, self._random.uniform(0.5, 2 * LEASE_S))

    def _silence_server(self) -> None:
        self._struck_through_proxy("server silent", "swallowed", Mode.SWALLOW, self._random.uniform(0.5, 2 * LEASE_S))

    def _struck_through_proxy(self, name: str, sign: str, mode: Mode, for_s: float) -> None:
        proxy = self._place.proxy
        assert proxy is not None
        before = proxy.counts[sign]
        proxy.set_mode(mode)
        time.sleep(for_s)
        proxy.set_mode(Mode.PASS)
        self.struck[name] += proxy.counts[sign] > before

    def _lose_commit(self) -> None:
        proxy = self._place.proxy
        assert proxy is not None
        before = proxy.counts["commits cut"]
        proxy.cut_commit(after=self._random.randrange(4))
        deadline = time.monotonic() + 5
        while proxy.counts["commits cut"] == before and time.monotonic() < deadline:
            time.sleep(0.02)
        self.struck["commit lost"] += proxy.counts["commits cut"] > before


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """What a study went through, and what was found afterwards."""

    struck: Counter[str]
    tally: Tally
    dropped: int  # trials that a worker gave up because another had them
    outages: int  # that workers noticed


@contextmanager
def _place(kind: str, folder: Path, socket: Path, server: Any) -> Iterator[Place]:
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'study.db'}"
        yield Place(url=url, direct=url)
        return
    name = create_postgresql_database(socket)
    with proxied(socket, name) as (proxy, url):
        yield Place(url=url, direct=f"postgresql://postgres@/{name}?host={socket}", proxy=proxy, server=server)


def strike_one(kind: str, folder: Path, socket: Path, server: Any, seed: int, faults: int) -> Survival:
    """One new study under at most so many faults, which lost, doubled and stuck nothing.

    Raises:
        AssertionError: it did; or a worker ended with an error.
    """
    records = folder / "history"
    records.mkdir(parents=True)
    os.environ |= {history.VARIABLE: str(records), "FRCNN_ANALYTIC_STEP_S": "0.02"}
    with _place(kind, folder, socket, server) as place:
        found(place.direct, folder, trials=TRIALS, risk=0.6)
        chaos = Chaos(place, folder, seed)
        chaos.run(faults)
        lines = read_history(records)
        with Database.open(place.direct) as database:
            tally = check_history(database, "analytic", lines, trials=TRIALS, rungs=RUNGS, killed=chaos.killed - {None})
    counts = Counter(line["event"] for line in lines)
    return Survival(
        struck=chaos.struck, tally=tally, dropped=counts[HistoryEvent.DROP], outages=counts[HistoryEvent.OUTAGE]
    )


@contextmanager
def own_server() -> Iterator[tuple[Path, Any]]:
    """A PostgreSQL server that may be killed, and where its socket lies."""
    socket = Path(tempfile.mkdtemp(prefix="frcnn-pg-"))
    server = start_postgresql(socket)
    try:
        yield socket, server
    finally:
        server.cleanup()


def strike(faults: int, seed: int) -> list[Survival]:
    """Studies under fire, each with the next seed, on the two databases in turn, until so many faults have happened.

    What a study left is kept where it did not survive, and the error names the folder.
    """
    survivals: list[Survival] = []
    with own_server() as (socket, server):
        while (left := faults - sum(s.struck.total() for s in survivals)) > 0:
            kind = ("sqlite", "postgresql")[seed % 2]
            folder = Path(tempfile.mkdtemp(prefix=f"frcnn-chaos-{seed}-"))
            try:
                one = strike_one(kind, folder, socket, server, seed, min(left, FAULTS_PER_STUDY))
            except BaseException as error:
                error.add_note(f"seed {seed}, {kind}; what it left: {folder}")
                raise
            shutil.rmtree(folder)
            survivals.append(one)
            sys.stdout.write(f"seed {seed} {kind}: {dict(one.struck)}; {one.tally}\n")
            sys.stdout.flush()
            seed += 1
    return survivals


def main() -> int:
    """Strike until so many faults have happened; returns 0 if every study survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began_s = time.monotonic()
    survivals = strike(options.faults, options.seed)
    struck = sum((one.struck for one in survivals), Counter[str]())
    tally = sum((one.tally for one in survivals), Tally(stored=0, noted=0, tried=0))
    last = options.seed + len(survivals) - 1
    sys.stdout.write(
        f"{struck.total()} faults in {len(survivals)} studies of {TRIALS} trials (seeds {options.seed} to {last}, "
        f"{time.monotonic() - began_s:.0f} s): 0 lost, 0 doubled, 0 stuck.\n{dict(struck.most_common())}\n"
        f"{tally.stored} reports and ends stored = {tally.noted} noted by their workers + {tally.tried} that a worker "
        f"tried and was killed before it could note them; {sum(one.dropped for one in survivals)} trials dropped by "
        f"workers that had lost them, {sum(one.outages for one in survivals)} outages noticed.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
