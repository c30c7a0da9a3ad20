"""A password of awkward characters goes through a whole study, and is then looked for in everything that is there."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import pytest

from detector.data.sample_data import write_sample
from tests.conftest import create_postgresql_database
from tests.support.fault_proxy import FaultProxy, Mode, proxied
from tests.support.workforce import wait_until

PASSWORD = "C4nary@/{SCHEMA_VERSION}%:c4Nary"  # both ends tell, however it was cut or quoted
TRACES = (b"C4nary", b"c4Nary")
TRIALS = 6
STUDY_FILE = """
name: guarded
storage: STORAGE
trainer: analytic
data: {folder: sample}
detector: {canvas: 128x128}
budget: {trials: TRIALS, images: 1440}
workers: 2
"""
BROKEN = """
import os
from storage.connection.database import Database
with Database.open(os.environ["REFERENCE"]) as database, database.writing() as connection:
    connection.exec_driver_sql("SELECT " + "nonsense")
"""


def found_in(text: str | bytes) -> bool:
    data = text.encode() if isinstance(text, str) else text
    return any(trace in data for trace in TRACES)


class Guarded:
    """A study folder, a database that asks for the password, and all that was said and seen meanwhile."""

    def __init__(self, folder: Path, proxy: FaultProxy, url: str, kind: str) -> None:
        self.folder, self.proxy = folder / "study", proxy
        write_sample(self.folder / "sample", train=6, validation=3)
        self.said: list[str] = []
        self.seen: set[str] = set()  # command lines of every process; environments of trainers
        self.listening: set[str] = set()  # addresses
        self._kind, self._secret_file = kind, folder / "secret"
        self.reference = "env:GUARDED_STORAGE" if kind == "env" else f"file:{self._secret_file}"
        text = STUDY_FILE.replace("STORAGE", self.reference).replace("TRIALS", str(TRIALS))
        (self.folder / "study.yaml").write_text(text)
        self.set_url(url)

    def set_url(self, url: str) -> None:
        self._variables = {"GUARDED_STORAGE": url} if self._kind == "env" else {}
        if self._kind == "file":
            self._secret_file.write_text(url)
            self._secret_file.chmod(0o600)

    def begin(self, *command: str, program: str = "from search.command_line import main; main()", **more: str):
        environment = {**os.environ, **self._variables, "REFERENCE": self.reference, **more}
        return subprocess.Popen(
            [sys.executable, "-P", "-c", program, *command],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, **options: str) -> tuple[int, str]:
        process = self.begin(*command, **options)
        output, _ = process.communicate(timeout=240)
        self.said.append(output)
        return process.returncode, output

    @contextlib.contextmanager
    def watched(self, process: subprocess.Popen) -> Iterator[None]:
        """Look at the process and all its descendants again and again during the block."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                self._look(process.pid)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _look(self, pid: int) -> None:
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(pid)
            for member in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    line = " ".join(member.cmdline())
                    self.seen.add(line)
                    if "search.trainer.process" in line:
                        self.seen.add(json.dumps(member.environ()))
                    sockets = member.net_connections(kind="inet")
                    self.listening |= {s.laddr.ip for s in sockets if s.status == psutil.CONN_LISTEN}


@pytest.fixture(params=["env", pytest.param("file", marks=pytest.mark.slow)])
def guarded(request, tmp_path: Path, postgresql_folder: Path) -> Iterator[Guarded]:
    name = create_postgresql_database(postgresql_folder)
    with administrator(postgresql_folder) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = 'guard'").fetchone() is None:  # owns what is left
            connection.execute(psycopg.sql.SQL("CREATE ROLE guard SUPERUSER LOGIN PASSWORD {}").format(PASSWORD))
        [rules] = (Path(row[0]) for row in connection.execute("SHOW hba_file"))
        before = rules.read_text()
        rules.write_text("local all guard scram-sha-256\n" + before)
        connection.execute("SELECT pg_reload_conf()")
    with proxied(postgresql_folder, name) as (proxy, url):
        yield Guarded(tmp_path, proxy, with_password(url, PASSWORD), request.param)
    rules.write_text(before)
    with administrator(postgresql_folder) as connection:
        connection.execute("SELECT pg_reload_conf()")


def with_password(url: str, password: str) -> str:
    return url.replace("postgres@", f"guard:{quote(password, safe='')}@")


def administrator(folder: Path) -> psycopg.Connection:
    return psycopg.connect(f"host={folder} user=postgres", dbname="postgres", autocommit=True)


def rows_of(folder: Path, url: str) -> dict[str, list[str]]:
    """Every row of every table as text."""
    name = url.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(f"host={folder} user=postgres", dbname=name) as connection:
        tables = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        statements = {
            table: psycopg.sql.SQL("SELECT t::text FROM {} t").format(psycopg.sql.Identifier(table)) for table in tables
        }
        rows = {table: [row[0] for row in connection.execute(text)] for table, text in statements.items()}
        activity = connection.execute("SELECT row_to_json(a)::text FROM pg_stat_activity a")
        return {**rows, "pg_stat_activity": [row[0] for row in activity]}


def test_a_password_is_in_nothing_that_a_study_shows_or_leaves_behind(
    guarded: Guarded, postgresql_folder: Path, url_of
):
    launch_through_an_outage(guarded)
    for command in (("status", "--json"), ("status", "--ranking"), ("export",)):
        code, output = guarded.run(*command)
        assert code == 0, output
    look_at_the_dashboard(guarded)
    provoke_errors(guarded)

    assert any("search.command_line worker --launched" in line for line in guarded.seen)
    assert any('"PATH"' in line for line in guarded.seen)  # environments of trainers too
    assert [line for line in guarded.seen if found_in(line)] == []
    assert [text for text in guarded.said if found_in(text)] == []
    assert guarded.listening == {"127.0.0.1"}  # the dashboard's; nobody else listens at all

    files = [path for path in guarded.folder.rglob("*") if path.is_file()]
    assert {"best.yaml", "worker-1.log", "study.yaml"} <= {path.name for path in files}
    assert [path for path in files if found_in(path.read_bytes()) or found_in(str(path))] == []
    rows = rows_of(postgresql_folder, url_of(guarded))
    assert {"frcnn_studies", "frcnn_outcomes", "trials", "trial_user_attributes", "studies"} <= set(rows)
    assert len(rows["trials"]) == TRIALS
    assert [table for table, texts in rows.items() if any(map(found_in, texts))] == []


@pytest.fixture
def url_of():
    return lambda guarded: guarded._variables.get("GUARDED_STORAGE") or guarded._secret_file.read_text()


def launch_through_an_outage(guarded: Guarded) -> None:
    """Two workers; the database is cut off for a moment, and a worker and a trainer are killed."""
    process = guarded.begin("launch", FRCNN_ANALYTIC_STEP_S="0.02", FRCNN_ANALYTIC_FAULTS="1:error:1,2:kill:1")
    with guarded.watched(process):
        logs = guarded.folder / "logs"
        wait_until(lambda: any("is ready on" in log.read_text() for log in logs.glob("worker-*.log")))
        guarded.proxy.set_mode(Mode.REFUSE)
        wait_until(lambda: any("results wait on disk" in log.read_text() for log in logs.glob("worker-*.log")))
        time.sleep(0.5)
        guarded.proxy.set_mode(Mode.PASS)
        output, _ = process.communicate(timeout=240)
    guarded.said.append(output)
    assert process.returncode == 0, output
    assert guarded.proxy.counts["refused"] >= 1
    logged = "".join(log.read_text() for log in logs.glob("*.log"))
    assert "Traceback" in logged  # the trainer's error of trial 1


def look_at_the_dashboard(guarded: Guarded) -> None:
    process = guarded.begin("dashboard", "--port", "0")
    with guarded.watched(process):
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        guarded.said.append(address)
        root = address.partition("/dashboard")[0]
        for path in ("/dashboard", "/api/studies", "/api/studies/1", "/api/meta", "/csv/1"):
            with urllib.request.urlopen(root + path, timeout=60) as page:
                guarded.said.append(page.read().decode())
        assert "outcome" in guarded.said[-1] or "Number" in guarded.said[-1]
        request = urllib.request.Request(root + "/api/studies", headers={"Host": "rebind.example"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=60)
        wait_until(lambda: guarded.listening)
        process.terminate()
        guarded.said.append(process.communicate(timeout=60)[0])


def provoke_errors(guarded: Guarded) -> None:
    """With the address in play: a bug with its traceback, a server that is away, a password that is wrong."""
    code, output = guarded.run(program=BROKEN)
    assert code == 1
    assert "Traceback" in output
    assert "nonsense" in output
    guarded.proxy.set_mode(Mode.REFUSE)
    code, output = guarded.run("status")
    assert (code, "doesn't answer" in output) == (75, True)
    guarded.proxy.set_mode(Mode.PASS)
    right = guarded._variables.get("GUARDED_STORAGE") or guarded._secret_file.read_text()
    guarded.set_url(right.replace("c4Nary", "c4Narywrong"))
    for command in (("status",), ("worker", "--storage", guarded.reference, "--study", "guarded")):
        code, output = guarded.run(*command)
        assert (code, "refuses the user or the password" in output) == (2, True), output
    guarded.set_url(right)
