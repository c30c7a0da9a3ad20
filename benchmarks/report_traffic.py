"""The traffic of hundreds of workers on one PostgreSQL server: how long a report takes, connections, errors.

Each emulated worker is a thread with a database object of its own, and does what a worker does: it asks for a trial,
renews its lease, and reports in a rhythm: figures, and at every fifth report a rung. It has no process and no trainer,
so that a small machine can hold hundreds.
"""

import json
import multiprocessing
import os
import tempfile
import threading
import time
from pathlib import Path
from statistics import quantiles
from typing import Annotated

import typer

from benchmarks.many_workers import Note, Watch, read_notes
from benchmarks.parts.analytic_study import found
from benchmarks.parts.databases import Kind, new_database
from benchmarks.parts.machine import Machine
from benchmarks.parts.table import DOCUMENT, Section, Table, publish, wide_console
from search.faults import history
from search.faults.history import HistoryEvent
from search.plan import Plan
from search.worker.outage import Outage
from search.worker.queue import TrialQueue
from search.worker.recorder import TrialRecorder
from storage.connection.database import Database
from storage.study import find_study
from trial.outcome import Outcome
from trial.reports import ProgressReport, RungReport
from trial.verdict import Verdict

SCRIPT = "benchmarks.report_traffic"
PROCESSES = 4
LEASE_S = 60.0
STEP_IMAGES = 160
RUNGS = tuple(STEP_IMAGES * number for number in range(1, 13))
REPORTS_PER_RUNG = 5
START_LIMIT_S = 1800.0

Took = list[tuple[float, float]]  # of each report: when it had arrived, and how long that took, in seconds


def emulate(url: str, plan: Plan, workers: int, report_s: float, over: threading.Event, file: Path) -> None:
    """So many workers in this process, until `over`; then the file has how long each report took."""
    took: Took = []
    threads = [
        threading.Thread(target=_work, args=(url, plan, f"{os.getpid()}-{number}", report_s, over, took))
        for number in range(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.write_text(json.dumps(took))


def _work(url: str, plan: Plan, name: str, report_s: float, over: threading.Event, took: Took) -> None:
    stop = threading.Event()
    outage = Outage(stop)
    with outage.insist(lambda: Database.open(url)) as database:  # as a worker does: others may have all connections
        study = outage.insist(lambda: find_study(database, plan.study))
        queue = TrialQueue(study, plan, worker=name, lease_s=LEASE_S, outage=outage)
        while not over.is_set():
            trial = outage.insist(queue.next_trial)
            if trial is not None:  # else the proposal was refused
                outage.insist(trial.open)
                _report(trial, outage, report_s, over, took)


def _report(trial: TrialRecorder, outage: Outage, report_s: float, over: threading.Event, took: Took) -> None:
    """A heartbeat in the middle between two reports."""
    for number in range(1, REPORTS_PER_RUNG * len(RUNGS) + 1):
        if over.wait(report_s / 2):
            return
        outage.insist(trial.renew)
        if over.wait(report_s / 2):
            return
        began_s = time.monotonic()
        _say(trial, number)
        outage.insist(trial.deliver)
        took.append((time.time(), time.monotonic() - began_s))
    trial.finish(Verdict(outcome=Outcome.COMPLETE))
    outage.insist(trial.deliver)


def _say(trial: TrialRecorder, number: int) -> None:
    """The report of that number: figures, or a rung."""
    images = number * STEP_IMAGES // REPORTS_PER_RUNG
    trial.progress(ProgressReport(step=number, images=images, figures={"loss": 1.0 / number}, images_per_s=16.0))
    if number % REPORTS_PER_RUNG:
        trial.flush()
        return
    ap = number / (REPORTS_PER_RUNG * len(RUNGS))
    report = RungReport(step=number, images=images, ap=ap, metrics={"AP50": ap}, training_s=1.0, evaluation_s=1.0)
    trial.rung(report, images)


def run(folder: Path, *, workers: int, report_s: float, for_s: float) -> tuple[list[Note], tuple[float, ...], Watch]:
    """Notes of all workers, seconds that each report took once all were at work, and the connections."""
    notes = folder / "notes"
    notes.mkdir()
    os.environ[history.VARIABLE] = str(notes)
    context = multiprocessing.get_context("spawn")
    over = context.Event()
    with new_database(Kind.POSTGRESQL, folder) as url:
        plan = found(url, folder, trials=10**6, rungs=RUNGS)
        watch = Watch(url)
        watcher = threading.Thread(target=watch.run)
        watcher.start()
        share = -(-workers // PROCESSES)
        files = [folder / f"reports-{number}.json" for number in range(PROCESSES)]
        processes = [context.Process(target=emulate, args=(url, plan, share, report_s, over, file)) for file in files]
        for process in processes:
            process.start()
        try:
            _await_trials(notes, share * PROCESSES)
            watch.phase, from_s = "work", time.time()
            time.sleep(for_s)
            to_s = time.time()
        finally:
            over.set()
            for process in processes:
                process.join()
            watch.over.set()
            watcher.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError("a process of workers failed")
    took = [each for file in files for each in json.loads(file.read_text())]
    return read_notes(notes), tuple(took_s for at_s, took_s in took if from_s <= at_s <= to_s), watch


def _await_trials(notes: Path, workers: int) -> None:
    """Until every worker has a trial."""
    deadline = time.monotonic() + START_LIMIT_S
    while len({line["trial"] for line in read_notes(notes) if line["event"] == HistoryEvent.CLAIM}) < workers:
        if time.monotonic() > deadline:
            raise RuntimeError("not all workers have a trial")
        time.sleep(1)


def main(
    workers: Annotated[int, typer.Option(min=1)] = 256,
    report_s: Annotated[float, typer.Option(help="from report to report of one worker")] = 10.0,
    for_s: Annotated[float, typer.Option(help="measured for so long")] = 120.0,
    output: Annotated[Path, typer.Option(help="Markdown file that gets the section", show_default=False)] = DOCUMENT,
) -> None:
    """Measure reports and connections of emulated workers."""
    console = wide_console()
    with tempfile.TemporaryDirectory() as folder, console.status(f"{workers} emulated workers"):
        lines, took_s, watch = run(Path(folder), workers=workers, report_s=report_s, for_s=for_s)
    cuts = quantiles(took_s, n=100, method="inclusive")
    outages = [line["detail"] for line in lines if line["event"] == HistoryEvent.OUTAGE]
    dropped = [line for line in lines if line["event"] == HistoryEvent.DROP]
    section = Section(
        script=SCRIPT,
        title="The traffic of many workers",
        tables=(
            Table(
                caption=f"Emulated workers on PostgreSQL that report every {report_s:g} s, for {for_s:g} s",
                columns=(
                    "workers", "reports", "errors", "report, ms", "p95", "slowest",
                    "most connections", "most while at work",
                ),
                rows=((
                    workers, len(took_s), len(outages) + len(dropped), 1000 * cuts[49], 1000 * cuts[94],
                    1000 * max(took_s), max(watch.most.values()), watch.most["work"],
                ),),
            ),
        ),
        notes=(
            f"Threads of {PROCESSES} processes, each worker with a database object of its own, with leases of "
            f"{LEASE_S:g} s renewed in between; database server and all of them share the machine. A report is its "
            "whole transaction, from the want of a connection to the answer; every fifth is a rung.",
            *(f"Error: {outage}" for outage in outages[:10]),
        ),
    )  # fmt: skip
    libraries = ("optuna", "sqlalchemy", "psycopg")
    publish(
        section, Machine.here(backend="analytic", device="CPU", script=SCRIPT, libraries=libraries), output, console
    )


if __name__ == "__main__":
    typer.run(main)
