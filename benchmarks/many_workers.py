"""Many workers on one database: errors, how long a report takes, connections, memory.

Real worker processes, each with a trainer process of its own. The trainers are analytic: each step sleeps, so that a
trial reports in the rhythm that is asked for and the processors are left to everything else.
"""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Annotated, Any

import psutil  # type: ignore[import-untyped]
import typer

from benchmarks.parts.analytic_study import WORKER, found
from benchmarks.parts.databases import Kind, count_connections, new_database
from benchmarks.parts.machine import GIB, Machine
from benchmarks.parts.table import DOCUMENT, Cell, Section, Table, publish, wide_console
from search.exit_codes import ExitCode
from search.faults import history
from search.faults.history import HistoryEvent
from storage.connection.address import STORAGE_VARIABLE

SCRIPT = "benchmarks.many_workers"
BATCH_SIZE = 16
STEPS_PER_RUNG = 10
RUNGS = tuple(BATCH_SIZE * STEPS_PER_RUNG * number for number in range(1, 13))
LOOK_S = 0.1
START_LIMIT_S = 1800.0
LEAVE_LIMIT_S = 120.0

Note = dict[str, Any]


@dataclass(slots=True)
class Watch:
    """Counts a server's connections in a thread of its own, by the phase of the benchmark."""

    url: str
    phase: str = "start"
    most: Counter[str] = field(default_factory=Counter)
    looks: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.over.wait(LOOK_S):
            self.most[self.phase] = max(self.most[self.phase], count_connections(self.url))
            self.looks[self.phase] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened on one database."""

    kind: Kind
    workers: int
    started_s: float  # until every worker had a trial
    reports_s: tuple[float, ...]
    failures: tuple[str, ...]
    connections: dict[str, int]  # most at once, by phase; empty without a server
    memory_gib: float


def run(kind: Kind, folder: Path, *, workers: int, report_s: float, for_s: float) -> Outcome:
    """Start so many, let them work for a while once all have a trial, stop them."""
    with new_database(kind, folder) as url:
        found(url, folder, trials=10**6, rungs=RUNGS, batch_size=BATCH_SIZE)
        notes = folder / "notes"
        notes.mkdir()
        watch = Watch(url)
        watcher = threading.Thread(target=watch.run)
        if kind is Kind.POSTGRESQL:
            watcher.start()
        try:
            began_s = time.monotonic()
            crowd = [_start(url, folder, notes, number, report_s / STEPS_PER_RUNG) for number in range(workers)]
            _await_all(crowd, notes)
            started_s = time.monotonic() - began_s
            watch.phase, from_s = "work", time.time()
            time.sleep(for_s)
            to_s, memory = time.time(), _memory(crowd)
            watch.phase = "stop"
            codes = _stop(crowd)
        finally:
            watch.over.set()
    lines = read_notes(notes)
    return Outcome(
        kind=kind,
        workers=workers,
        started_s=started_s,
        reports_s=latencies(lines, from_s=from_s, to_s=to_s),
        failures=(*_wrong_codes(codes), *_complaints(folder), *_outages(lines)),
        connections=dict(watch.most),
        memory_gib=memory,
    )


def _start(url: str, folder: Path, notes: Path, number: int, step_s: float) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        STORAGE_VARIABLE: url,
        history.VARIABLE: str(notes),
        "FRCNN_ANALYTIC_STEP_S": str(step_s),
    }
    with (folder / f"worker-{number}.log").open("wb") as log:
        return subprocess.Popen([*WORKER, "--folder", str(folder)], env=environment, stdout=log, stderr=log)


def _await_all(crowd: list[subprocess.Popen[bytes]], notes: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while len(list(notes.iterdir())) < len(crowd):
        if time.monotonic() > deadline or any(worker.poll() is not None for worker in crowd):
            raise RuntimeError("a worker has left, or has no trial; their logs say why")
        time.sleep(0.2)


def _stop(crowd: list[subprocess.Popen[bytes]]) -> list[int]:
    for worker in crowd:
        worker.terminate()
    return [worker.wait(LEAVE_LIMIT_S) for worker in crowd]


def _memory(crowd: list[subprocess.Popen[bytes]]) -> float:
    """GiB of all workers and trainers; pages that processes share are counted once."""
    processes = [
        one for worker in crowd for one in (psutil.Process(worker.pid), *psutil.Process(worker.pid).children())
    ]
    return sum(process.memory_full_info().pss for process in processes) / GIB


def read_notes(folder: Path) -> list[Note]:
    """Every line of every process."""
    return [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]


def latencies(lines: list[Note], *, from_s: float, to_s: float) -> tuple[float, ...]:
    """Seconds from the beginning of each report's transaction, its connection included, to the database's answer."""
    tried: dict[tuple[int, int, str], float] = {}
    took = []
    for line in lines:
        key = (line["pid"], line["trial"], line["detail"])
        if line["event"] == HistoryEvent.TRY:
            tried.setdefault(key, line["at_s"])  # tried again, it counts from the first time on
        if line["event"] == HistoryEvent.REPORT and from_s <= line["at_s"] <= to_s:
            took.append(line["at_s"] - tried[key])
    return tuple(took)


def _wrong_codes(codes: list[int]) -> list[str]:
    return [f"a worker left with exit code {code}" for code in codes if code != ExitCode.TRY_LATER]


def _complaints(folder: Path) -> list[str]:
    logs = [log.read_text(encoding="utf-8", errors="replace") for log in folder.glob("worker-*.log")]
    words = (" WARNING ", " ERROR ", "Traceback")
    return [line for log in logs for line in log.splitlines() if any(word in line for word in words)]


def _outages(lines: list[Note]) -> list[str]:
    return [f"an outage: {line['detail']}" for line in lines if line["event"] == HistoryEvent.OUTAGE]


def row(outcome: Outcome) -> tuple[Cell, ...]:
    """One line of the table."""
    cuts = quantiles(outcome.reports_s, n=100, method="inclusive")
    most = outcome.connections
    return (
        str(outcome.kind),
        outcome.workers,
        len(outcome.reports_s),
        len(outcome.failures),
        1000 * cuts[49],
        1000 * cuts[94],
        1000 * max(outcome.reports_s),
        max(most.values()) if most else "–",
        most.get("work", "–"),
        outcome.started_s,
        outcome.memory_gib,
    )


def section(outcomes: list[Outcome], *, report_s: float, for_s: float) -> Section:
    """The table, and what went wrong."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    return Section(
        script=SCRIPT,
        title="Many workers on one database",
        tables=(
            Table(
                caption=f"Analytic trials that report every {report_s:g} s, for {for_s:g} s",
                columns=(
                    "database", "workers", "reports", "errors", "report, ms", "p95", "slowest",
                    "most connections", "most while at work", "s until all work", "memory, GiB",
                ),
                rows=tuple(row(outcome) for outcome in outcomes),
            ),
        ),
        notes=(
            "Each worker is a process with a trainer process; database server and all of them share the machine. A "
            "report is its whole transaction, from the want of a connection to the answer, by the workers' own notes.",
            f"Connections: what pg_stat_activity shows, looked at every {LOOK_S:g} s, at start and stop too. Errors: "
            "outages, warnings in a log, exit codes other than 75 (stopped).",
            f"Load of the machine at the end: {load}.",
            *(f"Error: {failure}" for failure in failures[:10]),
        ),
    )  # fmt: skip


def main(
    workers: Annotated[int, typer.Option(min=1, help="on PostgreSQL")] = 64,
    sqlite_workers: Annotated[int, typer.Option(min=1, help="on SQLite")] = 16,
    report_s: Annotated[float, typer.Option(help="from report to report of one worker")] = 10.0,
    for_s: Annotated[float, typer.Option(help="measured for so long, on each database")] = 180.0,
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Measure reports, connections and memory of many workers."""
    console = wide_console()
    outcomes = []
    for kind, number in ((Kind.POSTGRESQL, workers), (Kind.SQLITE, sqlite_workers)):
        with tempfile.TemporaryDirectory() as folder, console.status(f"{number} workers on {kind}"):
            outcomes.append(run(kind, Path(folder), workers=number, report_s=report_s, for_s=for_s))
    libraries = ("optuna", "sqlalchemy", "psycopg")
    machine = Machine.here(backend="analytic", device="CPU", script=SCRIPT, libraries=libraries)
    publish(section(outcomes, report_s=report_s, for_s=for_s), machine, output, console)


if __name__ == "__main__":
    typer.run(main)
