"""Random faults on a running study, and a check of every process's own notes afterwards.

    python -m tests.search.chaos [--faults 200] [--seed 0]

Studies of analytic trials, on SQLite and PostgreSQL in turn; ten faults each, drawn by the seed: kill a worker, kill a
trainer, stop a worker for longer than a lease, cut all connections, lose the answer of a commit. A fault counts only if
it is seen to have happened. The trainer is the analytic one: this says nothing of detectors.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from search import history
from storage.database import Database
from storage.studies import load_study
from tests.conftest import create_postgresql_database, start_postgresql
from tests.search.fault_proxy import FaultProxy, Mode, proxied
from tests.search.history_checker import check_history, read_history
from tests.search.workforce import found, leave, start_worker

FAULTS_PER_STUDY = 10
TRIALS = 12
WORKERS = 2
LEASE_S = 2.0
RUNGS = (160, 480, 1440)


class Chaos:
    """One study under fire. `struck` counts the faults that really happened."""

    def __init__(self, url: str, folder: Path, proxy: FaultProxy | None, seed: int) -> None:
        self.struck: Counter[str] = Counter()
        self._url = url
        self._folder = folder
        self._proxy = proxy
        self._random = random.Random(seed)
        self._workers: list[BaseProcess] = []
        self._arsenal: list[Callable[[], None]] = [self._kill_worker, self._kill_trainer, self._stop_worker]
        if proxy is not None:
            self._arsenal += [self._cut_network, self._lose_commit]

    def run(self, faults: int) -> None:
        """Strike so many times, or until the study is complete; then let it end."""
        while sum(self.struck.values()) < faults and not self._complete():
            self._refill()
            time.sleep(self._random.uniform(0.3, 1.5))
            self._random.choice(self._arsenal)()
        while not self._complete():
            self._refill()
            time.sleep(0.2)
        for worker in self._workers:
            assert leave(worker, 120) == 0

    def _complete(self) -> bool:
        return bool(self._workers) and any(worker.exitcode == 0 for worker in self._workers)

    def _refill(self) -> None:
        codes = {worker.exitcode for worker in self._workers} - {None, 0, 75, -signal.SIGKILL}
        assert not codes, f"a worker ended with {codes}"
        self._workers = [worker for worker in self._workers if worker.exitcode in (None, 0)]
        while len(self._workers) < WORKERS:
            self._workers.append(start_worker(self._url, self._folder, lease_s=LEASE_S))

    def _victim(self) -> BaseProcess:
        return self._random.choice(self._workers)

    def _kill_worker(self) -> None:
        victim = self._victim()
        victim.kill()
        self.struck["worker killed"] += leave(victim) == -signal.SIGKILL

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

    def _cut_network(self) -> None:
        assert self._proxy is not None
        before = self._proxy.counts["refused"]
        self._proxy.set_mode(Mode.REFUSE)
        time.sleep(self._random.uniform(0.5, 2 * LEASE_S))
        self._proxy.set_mode(Mode.PASS)
        self.struck["network cut"] += self._proxy.counts["refused"] > before

    def _lose_commit(self) -> None:
        assert self._proxy is not None
        before = self._proxy.counts["commits cut"]
        self._proxy.cut_commit(after=self._random.randrange(4))
        deadline = time.monotonic() + 5
        while self._proxy.counts["commits cut"] == before and time.monotonic() < deadline:
            time.sleep(0.02)
        self.struck["commit lost"] += self._proxy.counts["commits cut"] > before


@contextmanager
def _place(kind: str, folder: Path, server: Path | None) -> Iterator[tuple[str, str, FaultProxy | None]]:
    """The storage URL of the workers, the one around the proxy, and the proxy."""
    if kind == "sqlite" or server is None:
        url = f"sqlite:///{folder / 'study.db'}"
        yield url, url, None
        return
    name = create_postgresql_database(server)
    with proxied(server, name) as (proxy, url):
        yield url, f"postgresql://postgres@/{name}?host={server}", proxy


def strike_one(kind: str, folder: Path, server: Path | None, seed: int, faults: int) -> Counter[str]:
    """The faults that struck one new study, which lost, doubled and stuck nothing.

    Raises:
        AssertionError: it did; or a worker ended with an error.
    """
    records = folder / "history"
    records.mkdir(parents=True)
    os.environ |= {history.VARIABLE: str(records), "FRCNN_ANALYTIC_STEP_S": "0.02"}
    with _place(kind, folder, server) as (url, direct, proxy):
        found(direct, folder, trials=TRIALS)
        chaos = Chaos(url, folder, proxy, seed)
        chaos.run(faults)
        with Database.open(direct) as database:
            check_history(database, "analytic", read_history(records), trials=TRIALS, rungs=RUNGS)
            assert len(load_study(database, "analytic").trials) == TRIALS
    return chaos.struck


def main() -> int:
    """Strike until so many faults have happened; returns 0 if every study survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    server = start_postgresql(socket := Path(tempfile.mkdtemp(prefix="frcnn-pg-")))
    total: Counter[str] = Counter()
    seed = options.seed
    while (left := options.faults - sum(total.values())) > 0:
        kind = ("sqlite", "postgresql")[seed % 2]
        with tempfile.TemporaryDirectory() as folder:
            struck = strike_one(kind, Path(folder), socket, seed, min(left, FAULTS_PER_STUDY))
        total += struck
        sys.stdout.write(f"seed {seed} {kind}: {dict(struck)}; {sum(total.values())} faults so far\n")
        sys.stdout.flush()
        seed += 1
    sys.stdout.write(f"{sum(total.values())} faults in {seed - options.seed} studies of {TRIALS} trials: ")
    sys.stdout.write(f"0 lost, 0 doubled, 0 stuck. {dict(total)}\n")
    server.cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(main())
