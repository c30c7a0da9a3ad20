"""Workers for tests: processes from a warm fork server, to be killed, stopped and counted; or two in one process."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NoReturn

from search.exit_codes import ExitCode, exit_code_of
from search.launch.compatibility import agree
from search.study.specification import Specification, specification_from
from search.worker.loop import Pace
from search.worker.process import work
from storage.connection.database import Database
from storage.study import create_study
from tests.support.fork_server import fork_server

PACE = Pace(lease_s=1.5, wait_s=0.05)


def found(
    url: str, folder: Path, *, trials: int = 2, seed: int = 0, pruner: str = "halving", risk: float = 1.0
) -> Specification:
    """A study of analytic trials with rungs at 160, 480 and 1440 images, in the database at the URL.

    At a risk of 1 every proposal is a trial.
    """
    document = {
        "name": "analytic",
        "storage": url,
        "trainer": "analytic",
        "data": {"train": {"images": str(folder), "annotations": str(folder / "train.json")}},
        "detector": {"canvas": "128x128"},
        "budget": {"trials": trials, "images": 1440, "rungs": [160, 480, 1440]},
        "sampler": {"seed": seed, "most_divergence_risk": risk},
        "pruner": {"name": pruner},
    }
    specification = specification_from(document, "this test")
    with Database.open(url) as database:
        agree(create_study(database, specification.name), specification)
    return specification


def start_worker(url: str, folder: Path, *, lease_s: float = PACE.lease_s, **variables: str) -> BaseProcess:
    """A worker in a process of its own; the variables are set in its environment alone."""
    process = fork_server().Process(target=_work, args=(url, folder, lease_s, {**os.environ, **variables}), daemon=True)
    process.start()
    return process


def _work(url: str, folder: Path, lease_s: float, variables: Mapping[str, str]) -> None:
    os.environ.clear()  # the fork server has that of the test which started it
    os.environ.update(variables)
    if offset_s := float(variables.get("TEST_CLOCK_OFFSET_S", "0")):
        true_time = time.time
        time.time = lambda: true_time() + offset_s
    leave_with_code(lambda: work(url, "analytic", folder=folder, pace=replace(PACE, lease_s=lease_s), checked=True))


def leave_with_code(command: Callable[[], ExitCode]) -> NoReturn:
    """End this process as the command line would; a bug keeps its traceback."""
    try:
        code = command()
    except Exception as error:
        code = exit_code_of(error)
        if code is ExitCode.BUG:
            raise
    sys.exit(code)


def two_at_once(url: str, work: Callable[[Database], int]) -> list[int]:
    """Two threads, each at the same work on a database of its own; returns what they did."""

    def one(_: int) -> int:
        with Database.open(url) as own:
            return work(own)

    with ThreadPoolExecutor(max_workers=2) as both:
        return [*both.map(one, range(2))]


def leave(process: BaseProcess, within_s: float = 60.0) -> int | None:
    """The exit code of a worker that ends by itself, or was made to."""
    process.join(within_s)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"worker {process.pid} did not leave within {within_s:g} s")
    return process.exitcode


def wait_until(holds: Callable[[], object], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
