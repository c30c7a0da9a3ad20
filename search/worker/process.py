"""A worker as a process of its own.

    python -m search.worker.process --study NAME --folder DIR [--follow-stdin]

The storage URL, or a reference to one, stands in the environment variable FRCNN_STORAGE, never on the command line.
The specification comes from the database. The log goes to standard error; standard output gets one line only where
somebody must act. Exit codes: 0 the study has its trials, 75 stopped, the database is away or a disk full, 2 the user
must change something, 1 a bug.
"""

import argparse
import logging
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna

from detector.config import ConfigError
from search.plan import Plan
from search.signals import stop_signals
from search.study.specification import specification_from_json
from search.trainer.exits import DiskFull
from search.trainer.warm import SetupFailed
from search.worker.fingerprint import require_identity
from search.worker.local_paths import Places
from search.worker.loop import TRY_LATER, Pace, Worker
from search.worker.outage import Outage
from storage.connection.database import Database
from storage.connection.errors import StorageError, StorageUnavailable
from storage.study import read_specification
from trial.outcome import Outcome

STORAGE_VARIABLE = "FRCNN_STORAGE"
BUG, USER_MUST_ACT = 1, 2


def main(arguments: list[str]) -> int:
    """Work on a study until it has its trials, or until a signal; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return _work(options)
    except SetupFailed as failure:
        sys.stdout.write(f"{failure.verdict.message}\n")
        return code_of(failure)
    except (ConfigError, StorageError) as error:
        sys.stdout.write(f"{error}\n")
        return USER_MUST_ACT
    except (StorageUnavailable, DiskFull) as obstacle:
        sys.stdout.write(f"{obstacle}\n")
        return TRY_LATER


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m search.worker.process")
    parser.add_argument("--study", required=True)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--follow-stdin", action="store_true", help="stop when standard input ends")
    parser.add_argument("--lease-s", type=float, default=Pace().lease_s, help="a dead worker's trial is free after")
    parser.add_argument("--give-up-s", type=float, default=Pace().give_up_s, help="leave when the database is away for")
    parser.add_argument("--checked", action="store_true", help="code and data were compared with the study's")
    return parser


def _work(options: argparse.Namespace) -> int:
    storage = os.environ.get(STORAGE_VARIABLE, "")
    if not storage:
        raise ConfigError(f"the environment variable {STORAGE_VARIABLE} must hold the storage URL, but is not set")
    pace = Pace(lease_s=options.lease_s, give_up_s=options.give_up_s)
    return work_on(
        storage,
        options.study,
        folder=options.folder,
        pace=pace,
        checked=options.checked,
        follow_stdin=options.follow_stdin,
    )


def work_on(
    storage: str,
    study: str,
    *,
    folder: Path,
    data_root: Path | None = None,
    cache: Path | None = None,
    pace: Pace,
    checked: bool = False,
    follow_stdin: bool = False,
) -> int:
    """Work on a study of which only storage and name are known; returns the exit code.

    `checked` says that code and data were compared with the study's already. Stops at signals (search/signals.py).
    A database that is away already is waited for like one that goes away later.
    Data and caches may have places of their own on this machine (search/worker/local_paths.py).

    Raises:
        ConfigError: there is no such study, or code or data of this machine differ from its own.
        SetupFailed, DiskFull, StorageError, StorageUnavailable: as `Worker.run`.
    """
    places = Places.here(data_root=data_root, cache=cache)
    workers: list[Worker] = []

    def at_once() -> None:
        for worker in workers:
            worker.abandon()
        os._exit(TRY_LATER)

    with stop_signals(at_once) as stop:
        if follow_stdin:
            threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
        start = Outage(stop, give_up_s=pace.give_up_s, meanwhile="this worker waits for it")
        with start.insist(lambda: Database.open(storage)) as database:
            plan = start.insist(lambda: _plan(database, storage, study, folder, places, checked=checked))
            options: dict[str, Any] = {"stop": stop, "pace": pace, "withheld": secrets_of(storage)}
            workers.append(start.insist(lambda: Worker(database, plan, **options)))
            return workers[0].run()


def _plan(database: Database, storage: str, study: str, folder: Path, places: Places, *, checked: bool) -> Plan:
    """What the database says of the study, for this machine."""
    document = read_specification(database, study)
    if document is None:
        raise ConfigError(f"study {study!r} has no specification yet; launch it once")
    specification = specification_from_json(document, storage=storage)
    specification = replace(specification, data=places.find(specification.data))
    if not checked:
        require_identity(database, study, specification)
    return Plan.of(specification, folder, cache=places.cache)


def code_of(failure: SetupFailed) -> int:
    """The exit code where no trainer can be had."""
    return USER_MUST_ACT if failure.verdict.outcome is Outcome.BAD_DATA else BUG


def secrets_of(storage: str) -> tuple[str, ...]:
    """The environment variables that may hold credentials of a storage; trainers do without them."""
    kind, _, name = storage.partition(":")
    return (STORAGE_VARIABLE, "PGPASSWORD", *((name,) if kind == "env" else ()))


def _stop_at_end_of_input(stop: threading.Event) -> None:
    """Whoever started us holds the other end; when it dies, we must not go on unseen."""
    while os.read(0, 4096):  # not sys.stdin: a thread that waits in it makes Python abort at exit
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
