"""The database goes away under workers: PostgreSQL behind a proxy that loses connections, bytes and answers."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState
from sqlalchemy import event

from search.exit_codes import ExitCode
from search.faults.history import HistoryEvent
from search.plan import Plan
from search.report.status import read_status
from search.worker.loop import Pace, Worker
from storage.connection import answers
from storage.connection.database import Database
from storage.connection.errors import StorageUnavailable
from storage.outages import read_outages
from storage.study import find_study
from tests.conftest import create_postgresql_database, restart_postgresql, start_postgresql
from tests.support.fault_proxy import FaultProxy, Mode, proxied
from tests.support.history_checker import check_history, read_history
from tests.support.studies import create_optuna_study, load_optuna_study, varied
from tests.support.workforce import found, leave, start_worker, wait_until

PACE = Pace(lease_s=3.0, wait_s=0.05)
LONG = (160, 480, 1440, 2000)  # at 16 images and a slow step each: 10 s, far longer than a worker's patience here
SLOW_STEP_S = "0.08"


@pytest.fixture
def proxy_and_url(postgresql_folder: Path) -> Iterator[tuple[FaultProxy, str]]:
    with proxied(postgresql_folder, create_postgresql_database(postgresql_folder)) as pair:
        yield pair


@pytest.fixture
def direct(proxy_and_url, postgresql_folder: Path) -> str:
    """The storage URL around the proxy."""
    name = proxy_and_url[1].rpartition("/")[2].partition("?")[0]
    return f"postgresql://postgres@/{name}?host={postgresql_folder}"


def count_events(records: Path, event: HistoryEvent) -> int:
    return sum(line["event"] == event for line in read_history(records))


def reports_of(database: Database, plan: Plan, trial: int) -> dict[int, float]:
    trials = load_optuna_study(database, plan.study).get_trials(deepcopy=False)
    return trials[trial].intermediate_values if trial < len(trials) else {}


class InThread:
    """A worker with a database connection of its own, in a thread."""

    def __init__(self, url: str, plan: Plan, pace: Pace = PACE) -> None:
        self.stop = threading.Event()
        self.ready = threading.Event()  # the database is open; a worker that finds it away when it starts leaves
        self.code: int | Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(url, plan, pace))
        self._thread.start()
        assert self.ready.wait(30)

    def _run(self, url: str, plan: Plan, pace: Pace) -> None:
        try:
            with Database.open(url) as database:
                worker = Worker(find_study(database, plan.study), plan, stop=self.stop, pace=pace)
                self.ready.set()
                self.code = worker.run()
        except Exception as error:
            self.code = error

    def result(self, within_s: float = 90.0) -> int | Exception | None:
        self._thread.join(within_s)
        assert not self._thread.is_alive()
        return self.code


@pytest.mark.parametrize(
    "trial",
    [
        pytest.param(0, id="the first"),
        pytest.param(2, id="one in the middle", marks=pytest.mark.slow),
        pytest.param(4, id="the last"),
    ],
)
@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(b"INSERT INTO trials ", id="ask"),
        pytest.param(b"INSERT INTO frcnn_leases ", id="claim", marks=pytest.mark.slow),
    ],
)
def test_a_server_that_goes_away_between_ask_and_commit_costs_no_trial(
    proxy_and_url, direct, tmp_path, records, statement, trial
):
    """It stays away for 2 s; meanwhile the worker waits and does not spin."""
    proxy, url = proxy_and_url
    found(direct, tmp_path, trials=5)
    proxy.leave_at(statement, 2.0, after=trial)
    worker = start_worker(url, tmp_path, lease_s=30, FRCNN_ANALYTIC_STEP_S="0")
    assert leave(worker) == ExitCode.DONE
    assert proxy.counts["left"] == 1
    assert 1 <= count_events(records, HistoryEvent.OUTAGE) < 30
    with Database.open(direct) as database:
        check_history(database, "analytic", read_history(records), trials=5, rungs=(160, 480, 1440))


@pytest.mark.parametrize("first", [0, 1, *(pytest.param(later, marks=pytest.mark.slow) for later in range(2, 12))])
def test_a_commit_whose_answer_is_lost_is_neither_repeated_nor_forgotten(proxy_and_url, direct, plan, records, first):
    """Every so many transactions one is cut after the server has committed it, each time at another place."""
    proxy, url = proxy_and_url
    with Database.open(direct) as database:
        create_optuna_study(database, plan.study)
        plan = varied(plan, trials=3)
        worker = InThread(url, plan)
        proxy.cut_commit(after=first)
        after = 3 + first
        while worker.code is None:
            cut = proxy.counts["commits cut"]
            wait_until(lambda cut=cut: worker.code is not None or proxy.counts["commits cut"] > cut)
            after += 5
            proxy.cut_commit(after=after)
        assert worker.result() == ExitCode.DONE
        assert proxy.counts["commits cut"] >= 2
        check_history(database, plan.study, read_history(records), trials=3, rungs=plan.rungs)


def test_workers_outlive_a_server_that_is_killed_and_comes_back(tmp_path, records, monkeypatch):
    """Optuna alone: four of four workers die."""
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.03")
    folder = Path(tempfile.mkdtemp(prefix="frcnn-pg-"))
    server = start_postgresql(folder)
    url = f"postgresql://postgres@/{create_postgresql_database(folder)}?host={folder}"
    found(url, tmp_path, trials=8)
    workers = [start_worker(url, tmp_path, lease_s=3.0) for _ in range(4)]
    wait_until(lambda: len({line["pid"] for line in read_history(records) if line["event"] == HistoryEvent.CLAIM}) == 4)
    os.kill(server.get_pid(), signal.SIGKILL)
    time.sleep(2)
    assert [worker.exitcode for worker in workers] == [None] * 4
    restart_postgresql(server)
    assert [leave(worker, 90) for worker in workers] == [0] * 4
    lines = read_history(records)
    assert {line["pid"] for line in lines if line["event"] == HistoryEvent.OUTAGE} == {worker.pid for worker in workers}
    assert {line["pid"] for line in lines if line["event"] == HistoryEvent.BACK} == {worker.pid for worker in workers}
    with Database.open(url) as database:
        check_history(database, "analytic", lines, trials=8, rungs=(160, 480, 1440))
        assert len({record.worker for record in read_outages(find_study(database, "analytic"))}) == 4
        assert (outages := read_status(find_study(database, "analytic")).outages).count == 1  # the same, for all four
        assert outages.seconds > 2
    server.cleanup()


def test_training_goes_on_while_the_database_is_away_and_the_results_follow_in_order(
    proxy_and_url, direct, plan, records, monkeypatch
):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.02")  # 90 steps of 16 images: about 2 s a trial
    proxy, url = proxy_and_url
    with Database.open(direct) as database:
        create_optuna_study(database, plan.study)
        plan = varied(plan, trials=2, pruner="none")
        worker = InThread(url, plan)
        wait_until(lambda: reports_of(database, plan, 0))
        proxy.set_mode(Mode.REFUSE)
        directory = plan.trial_directory(0)
        wait_until(lambda: any('"rung": 1440' in file.read_text() for file in directory.glob("outbox-*.jsonl")))
        assert 1440 not in reports_of(database, plan, 0)
        assert worker.code is None
        proxy.set_mode(Mode.PASS)
        assert worker.result() == ExitCode.DONE
        assert proxy.counts["refused"] >= 1
        assert count_events(records, HistoryEvent.OUTAGE) >= 1
        assert list(reports_of(database, plan, 0)) == [160, 480, 1440]
        check_history(database, plan.study, read_history(records), trials=2, rungs=plan.rungs)


def test_past_the_limit_the_worker_parks_and_the_next_one_brings_in_what_it_had(
    proxy_and_url, direct, plan, records, monkeypatch
):
    monkeypatch.setattr(answers, "ANSWER_LIMIT_S", 0.5)
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", SLOW_STEP_S)
    proxy, url = proxy_and_url
    with Database.open(direct) as database:
        create_optuna_study(database, plan.study)
        plan = varied(plan, trials=1, pruner="none", rungs=LONG)
        worker = InThread(url, plan, replace(PACE, give_up_s=3.0))
        wait_until(lambda: reports_of(database, plan, 0))
        proxy.set_mode(Mode.SWALLOW)
        assert worker.result() == ExitCode.TRY_LATER
        assert proxy.counts["swallowed"] >= 1
        before = reports_of(database, plan, 0)
        [outbox] = plan.trial_directory(0).glob("outbox-*.jsonl")
        assert '"rung": 480' in outbox.read_text()
        assert '"outcome": "interrupted"' in outbox.read_text()
        assert 480 not in before

        monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0")
        last = InThread(direct, plan)
        assert last.result() == ExitCode.DONE
        assert not list(plan.trial_directory(0).glob("outbox-*.jsonl"))
        check_history(database, plan.study, read_history(records), trials=1, rungs=plan.rungs)
        [trial] = load_optuna_study(database, plan.study).trials
        assert trial.state is TrialState.COMPLETE


def test_a_worker_that_finds_the_database_away_when_it_starts_waits_for_it(proxy_and_url, direct, tmp_path, records):
    proxy, url = proxy_and_url
    found(direct, tmp_path)
    proxy.set_mode(Mode.REFUSE)
    worker = start_worker(url, tmp_path)
    wait_until(lambda: proxy.counts["refused"] >= 3)
    assert worker.exitcode is None
    proxy.set_mode(Mode.PASS)
    assert leave(worker) == ExitCode.DONE
    lines = read_history(records)
    assert [line["event"] for line in lines][:2] == [HistoryEvent.OUTAGE, HistoryEvent.BACK]
    with Database.open(direct) as database:
        check_history(database, "analytic", lines, trials=2, rungs=(160, 480, 1440))


STUDY_FILE = """
name: analytic
storage: env:STUDY_STORAGE
trainer: analytic
data: {train: {images: ., annotations: train.json}}
detector: {canvas: 128x128}
budget: {trials: 2, images: 1440}
"""


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("worker", "--storage", "env:STUDY_STORAGE", "--study", "analytic", "--give-up-s", "1"), "this worker leaves"),
        (("status",), "doesn't answer; check that it runs"),
        pytest.param(("launch",), "doesn't answer; check that it runs", marks=pytest.mark.slow),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_who_finds_the_database_away_says_so_plainly_and_leaves_with_75(proxy_and_url, direct, tmp_path, command, says):
    proxy, url = proxy_and_url
    found(direct, tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY_FILE)
    proxy.set_mode(Mode.REFUSE)
    program = [sys.executable, "-P", "-c", "from search.command_line import main; main()", *command]
    environment = {**os.environ, "STUDY_STORAGE": url}
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert proxy.counts["refused"] >= 1
    assert done.returncode == 75, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


class TestAnSQLiteFileThatIsDeletedInTheMiddle:
    @pytest.fixture
    def file(self, tmp_path, plan, monkeypatch) -> Path:
        monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.02")
        path = tmp_path / "database" / "study.db"
        with Database.open(f"sqlite:///{path}") as database:
            create_optuna_study(database, plan.study)
        return path

    def test_is_missed_loudly_and_what_comes_meanwhile_is_kept(self, file, plan, records, caplog, monkeypatch):
        monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", SLOW_STEP_S)
        plan = varied(plan, trials=1, pruner="none", rungs=LONG)
        worker = InThread(f"sqlite:///{file}", plan, replace(PACE, give_up_s=3.0))
        wait_until(lambda: count_events(records, HistoryEvent.REPORT))
        for part in file.parent.iterdir():
            part.unlink()
        assert worker.result() == ExitCode.TRY_LATER
        assert "its file was deleted or moved away; put it back, or stop the workers" in caplog.text
        assert list(file.parent.iterdir()) == []  # no new and empty database in its place
        [outbox] = plan.trial_directory(0).glob("outbox-*.jsonl")
        assert '"rung": 480' in outbox.read_text()

    def test_goes_on_when_it_is_put_back(self, file, plan, records):
        plan = varied(plan, trials=2, pruner="none")
        worker = InThread(f"sqlite:///{file}", plan)
        wait_until(lambda: count_events(records, HistoryEvent.REPORT))
        away = file.with_name("away.db")
        file.rename(away)
        outboxes = plan.trial_directory(0).glob
        wait_until(lambda: any('"rung": 1440' in path.read_text() for path in outboxes("outbox-*.jsonl")))
        assert count_events(records, HistoryEvent.OUTAGE) >= 1
        away.rename(file)
        assert worker.result() == ExitCode.DONE
        with Database.open(f"sqlite:///{file}") as database:
            check_history(database, plan.study, read_history(records), trials=2, rungs=plan.rungs)


def test_a_database_whose_disk_is_full_takes_no_more_work_and_stays_sound(tmp_path, plan, records, monkeypatch, caplog):
    monkeypatch.setenv("FRCNN_ANALYTIC_STEP_S", "0.005")
    path = tmp_path / "database" / "study.db"
    plan = varied(plan, trials=3, pruner="none")
    with Database.open(f"sqlite:///{path}") as database:
        create_optuna_study(database, plan.study)

        with database.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

        @event.listens_for(database.engine, "connect")
        def make_it_small(connection, record) -> None:  # one limit for all: a later connection brings no room
            connection.execute(f"PRAGMA max_page_count = {pages + 1}")

        database.engine.dispose()
        worker = Worker(
            find_study(database, plan.study), plan, stop=threading.Event(), pace=replace(PACE, give_up_s=2.0)
        )
        with suppress(StorageUnavailable):  # code 75 too
            assert worker.run() == ExitCode.TRY_LATER
        assert "its disk is full; make room, then launch again" in caplog.text
    assert count_events(records, HistoryEvent.OUTAGE) >= 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with Database.open(f"sqlite:///{path}") as database:  # there is room again
        before = len(load_optuna_study(database, plan.study).trials)
        assert before < 3
        assert InThread(f"sqlite:///{path}", plan).result() == ExitCode.DONE
        check_history(database, plan.study, read_history(records), trials=3, rungs=plan.rungs)
