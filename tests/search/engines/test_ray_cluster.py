"""Studies on real Ray clusters on this machine, with the analytic trainer: they say nothing of detectors."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

from search.faults import history
from search.study.specification import Specification, specification_to_json
from storage.connection.database import Database
from storage.leases import Leases
from storage.study import find_study
from storage.workers import read_workers
from tests.conftest import create_postgresql_database
from tests.support.history_checker import check_history, read_history
from tests.support.studies import load_optuna_study
from tests.support.workforce import found, wait_until

pytest.importorskip("ray", reason="Ray has no wheel for this Python")
pytestmark = pytest.mark.slow

TRIALS = 6
WORKER, TRAINER = "--launched", "search.trainer.process"
STRANGER = "import ray, sys; ray.init(address=sys.argv[1], logging_level=40); print('welcome')"


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """That of every process here; the token file is the test's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    ours = {"RAY_AUTH_TOKEN_PATH": str(folder / "token"), "FRCNN_ANALYTIC_STEP_S": "0.05"}
    ours["RAY_memory_monitor_refresh_ms"] = "0"  # what other programs take is not our workers' fault
    ours["RAY_worker_niceness"] = "0"  # on a busy machine Ray's default would starve the workers under test
    return {**kept, **ours, **variables}


def start(specification: Specification, storage: str, folder: Path, variables: dict[str, str], **engine):
    """A launch whose own warnings are errors; those of Ray's daemons are theirs."""
    arguments = [json.dumps(specification_to_json(specification)), storage, str(folder), json.dumps(engine)]
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.support.ray_launch", *arguments],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(root: psutil.Process, module: str) -> list[psutil.Process]:
    found = []
    for process in root.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [process] * (module in process.cmdline())
    return found


def is_over(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def kill_machine(raylet: psutil.Process) -> list[psutil.Process]:
    """End everything on a node, so that nothing of it can say goodbye. Returns what was ended."""
    family = [raylet, *raylet.children(recursive=True)]
    for end in (psutil.Process.suspend, psutil.Process.kill):
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                end(process)
    return family


def command_lines_with(word: str) -> list[str]:
    lines = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            lines.append(" ".join(process.cmdline()))
    return [line for line in lines if word in line]


def files_with(word: str, *folders: Path) -> list[Path]:
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert files
    return [file for file in files if word.encode() in file.read_bytes()]


@dataclass
class Nodes:
    """A cluster under test, and a PostgreSQL study whose address only its environment knows."""

    folder: Path
    logs: Path
    url: str
    canary: str
    variables: dict[str, str]
    process: subprocess.Popen
    address: str = ""
    head: psutil.Process | None = None

    def add(self) -> psutil.Process:
        """The raylet of a new node with one CPU, and a GPU that is one to Ray alone."""
        self.process.stdin.write(json.dumps({"num_cpus": 1, "num_gpus": 1}) + "\n")
        self.process.stdin.flush()
        made = json.loads(self.process.stdout.readline())
        self.address = made["address"]
        return psutil.Process(made["raylet"])


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, postgresql_folder: Path) -> Iterator[Nodes]:
    """A cluster with one node; authentication is on, and nobody has a dashboard."""
    folder = tmp_path_factory.mktemp("nodes")
    logs = Path(tempfile.mkdtemp(prefix="frcnn-ray-"))  # pytest's own names are too long for a socket
    canary = f"canary-{secrets.token_hex(8)}"
    name = create_postgresql_database(postgresql_folder)
    url = f"postgresql://postgres:{canary}@/{name}?host={postgresql_folder}"  # this server asks nobody for a password
    (folder / "token").write_text("0123456789abcdef" * 4)
    (folder / "token").chmod(0o600)
    (folder / "history").mkdir()
    ours = {"RAY_AUTH_MODE": "token", "STUDY_STORAGE": url, history.VARIABLE: str(folder / "history")}
    variables = environment(folder, **ours)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.ray_nodes", str(logs)],
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    made = Nodes(folder=folder, logs=logs, url=url, canary=canary, variables=variables, process=process)
    made.head = made.add()
    yield made
    family = kill_machine(psutil.Process(process.pid))
    process.communicate(timeout=60)
    wait_until(lambda: all(map(is_over, family)), within_s=60)
    shutil.rmtree(logs)


def test_nobody_uses_a_cluster_without_its_token(nodes, tmp_path):
    quick = {"RAY_NUM_REDIS_GET_RETRIES": "2"}
    welcome, refused = (
        subprocess.run(
            [sys.executable, "-c", STRANGER, nodes.address],
            env={**nodes.variables, **quick, **mode},
            capture_output=True,
            text=True,
            timeout=120,
        )
        for mode in ({}, {"RAY_AUTH_MODE": "disabled"})
    )
    assert (welcome.returncode, welcome.stdout.strip()) == (0, "welcome"), welcome.stderr
    assert refused.returncode == 1
    assert "welcome" not in refused.stdout
    assert "token" in refused.stderr.lower()
    specification = found(f"sqlite:///{tmp_path / 'study.db'}", tmp_path)
    (tmp_path / "token").write_text("f" * 64)
    launch = start(specification, specification.storage, tmp_path, environment(tmp_path), address=nodes.address)
    output, _ = launch.communicate(timeout=120)
    assert launch.returncode == 2, output
    assert "is the token at hand the cluster's?" in output
    assert "Traceback" not in output


def test_a_node_that_is_killed_loses_no_trial_and_doubles_none(nodes, tmp_path):
    # without pruning: a trial that is taken over at a rung may meanwhile be behind its peers, and end without training
    specification = replace(found(nodes.url, tmp_path, trials=TRIALS, pruner="none"), workers=2)
    spared, doomed = nodes.head, nodes.add()
    wanted = {"address": nodes.address, "gpus_per_worker": 0.5}
    launch = start(specification, "env:STUDY_STORAGE", tmp_path, nodes.variables, **wanted)

    def claimants_of(trial: int) -> list[int]:
        """The processes that have claimed the trial, in order."""
        notes = [line for line in read_history(nodes.folder / "history") if line["trial"] == trial]
        claims = [line for line in notes if line["event"] == history.HistoryEvent.CLAIM]
        return list(dict.fromkeys(line["pid"] for line in sorted(claims, key=lambda line: line["at_s"])))

    with Database.open(nodes.url) as database:
        leases = Leases(find_study(database, "analytic"), duration_s=6, turn_s=6)

        def half_done(worker: psutil.Process) -> list[int]:
            """Trials that the worker owns and has reported a rung of."""
            notes = [line for line in read_history(nodes.folder / "history") if line["pid"] == worker.pid]
            reported = {line["trial"] for line in notes if line["event"] == history.HistoryEvent.REPORT}
            return [
                lease.trial for lease in leases.held() if lease.trial in reported and str(worker.pid) in lease.worker
            ]

        def is_in_the_middle() -> bool:
            """Whether the doomed node's trainer has been stopped between two rungs of a trial."""
            assert launch.poll() is None, launch.stdout.read()
            for worker in processes_of(doomed, WORKER):
                for trainer in processes_of(worker, TRAINER) if half_done(worker) else []:
                    trainer.suspend()
                    time.sleep(0.5)  # what it said last has been written
                    if half_done(worker):
                        return True
                    trainer.resume()
            return False

        wait_until(is_in_the_middle, within_s=240)
        (victim,) = processes_of(doomed, WORKER)
        (spared_worker,) = processes_of(spared, WORKER)
        (struck,) = half_done(victim)
    assert command_lines_with(nodes.canary) == []
    (spared_trainer,) = processes_of(spared, TRAINER)
    seen = spared_trainer.environ()
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["XLA_PYTHON_CLIENT_MEM_FRACTION"]) == ("0", "0.450")  # 0.9 × 0.5
    assert not any(name.startswith("RAY_") for name in seen)
    spared_trainer.suspend()  # so that nobody but the worker that is started again can go on with the trial
    killed = kill_machine(doomed)
    assert victim in killed
    wait_until(lambda: all(map(is_over, killed)), within_s=10)
    nodes.add()

    def is_taken_over() -> bool:
        assert launch.poll() is None, launch.stdout.read()
        return claimants_of(struck)[-1] not in (victim.pid, spared_worker.pid)

    wait_until(is_taken_over, within_s=240)
    spared_trainer.resume()
    output, _ = launch.communicate(timeout=300)
    assert launch.returncode == 0, output
    assert "was lost" in output
    assert "it is started again" in output

    notes = read_history(nodes.folder / "history")
    with Database.open(nodes.url) as database:
        check_history(database, "analytic", notes, trials=TRIALS, rungs=specification.rungs)
    assert victim.pid in claimants_of(struck)
    log = "".join(file.read_text() for file in (tmp_path / "logs").glob("worker-*.log"))
    assert f"trial {struck} goes on after" in log
    assert nodes.canary not in output
    assert files_with(nodes.canary, tmp_path, nodes.logs) == []


def test_sqlite_is_refused_where_there_is_more_than_one_node(nodes, tmp_path):
    nodes.add()
    specification = found(f"sqlite:///{tmp_path / 'study.db'}", tmp_path)
    launch = start(specification, specification.storage, tmp_path, nodes.variables, address=nodes.address)
    output, _ = launch.communicate(timeout=120)
    assert launch.returncode == 2, output
    assert "must be in PostgreSQL, but this one is in SQLite" in output


def test_ctrl_c_checkpoints_and_a_second_launch_goes_on(tmp_path):
    """On a cluster of our own, which listens on loopback only, and of which nothing is left."""
    specification = replace(found(f"sqlite:///{tmp_path / 'study.db'}", tmp_path, trials=3), workers=2)
    variables = environment(tmp_path)
    first = start(specification, specification.storage, tmp_path, variables)
    with Database.open(specification.storage) as database:
        leases = Leases(find_study(database, "analytic"), duration_s=6, turn_s=6)

        def both_train() -> bool:
            assert first.poll() is None, first.stdout.read()
            return sum(bool(worker.images_per_s) for worker in read_workers(leases.study)) == 2

        wait_until(both_train, within_s=240)
        family = psutil.Process(first.pid).children(recursive=True)
        listening = {c.laddr.ip for p in [*family, psutil.Process(first.pid)] for c in listeners_of(p)}
        assert listening
        assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
        assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
        time.sleep(1)
        first.send_signal(signal.SIGINT)
        output, _ = first.communicate(timeout=60)
        assert first.returncode == 75, output
        assert "The same command goes on" in output
        assert leases.held() == []
        trials = load_optuna_study(database, "analytic").get_trials(deepcopy=False)
        assert [trial.state for trial in trials].count(TrialState.RUNNING) == 2
    assert psutil.wait_procs(family, timeout=20)[1] == []

    second = start(specification, specification.storage, tmp_path, {**variables, "FRCNN_ANALYTIC_STEP_S": "0"})
    output, _ = second.communicate(timeout=240)
    assert second.returncode == 0, output
    with Database.open(specification.storage) as database:
        trials = load_optuna_study(database, "analytic").get_trials(deepcopy=False)
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert all(trial.state.is_finished() for trial in trials)
    log = "".join(file.read_text() for file in (tmp_path / "logs").glob("worker-*.log"))
    assert log.count("goes on after") == 2


def listeners_of(process: psutil.Process) -> list:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [c for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    return []
