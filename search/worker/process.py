"""A worker as a process: `frcnn-search worker`, of a launch or on its own, for schedulers and for other machines."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import optuna

from detector.config import ConfigError
from search.exit_codes import ExitCode
from search.plan import Plan, as_launched
from search.signals import stop_signals
from search.study.storage_url import check_storage
from search.terminal import log_to_stderr
from search.worker.fingerprint import require_identity
from search.worker.local_paths import LocalPaths
from search.worker.loop import Pace, Worker
from search.worker.outage import Outage
from storage.connection.address import Address, holds_secret, secret_variables
from storage.connection.database import Database
from storage.study import StoredStudy, find_study


def work(
    storage: str,
    study: str,
    *,
    folder: Path,
    data_root: Path | None = None,
    cache: Path | None = None,
    pace: Pace,
    checked: bool = False,
    follow_stdin: bool = False,
) -> ExitCode:
    """Work on a study, of which only storage and name are known, until it has its trials, or until a signal.

    The specification comes from the database. The log goes to standard error. `checked` says that code and data were
    compared with the study's already; `follow_stdin` that the worker is to stop when its standard input ends.
    A database that is away already is waited for like one that goes away later. Data and caches may have places of
    their own on this machine (`LocalPaths`).

    Raises:
        ConfigError: the storage cannot be used like this, there is no such study, or code or data differ from its own.
        SetupFailed, DiskFull, StorageError, StorageUnavailable: as `Worker.run`.
    """
    refuse_secret(storage)
    path = Address.parse(storage).path
    if path is not None and not path.exists():
        raise ConfigError(f"{path}: there is no such database; a study begins with `frcnn-search launch`")
    log_to_stderr("%(asctime)s %(levelname)s %(name)s: %(message)s")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    paths = LocalPaths.here(data_root=data_root, cache=cache)
    workers: list[Worker] = []

    with stop_signals(lambda: _end_at_once(workers)) as stop:
        if follow_stdin:
            threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
        start = Outage(stop, give_up_s=pace.give_up_s, meanwhile="this worker waits for it")
        with start.insist(lambda: Database.open(storage)) as database:
            stored = start.insist(lambda: find_study(database, study))
            plan = start.insist(lambda: _plan(stored, storage, folder.resolve(), paths, checked=checked))
            withheld = secret_variables(storage)
            workers.append(start.insist(lambda: Worker(stored, plan, stop=stop, pace=pace, withheld=withheld)))
            return workers[0].run()


def refuse_secret(storage: str) -> None:
    """Return if the storage, as it stands on a command line, is one and holds no password.

    Raises:
        ConfigError: it does, or names no database.
    """
    try:
        check_storage(storage)
    except ConfigError as error:
        raise ConfigError(f"--storage {error}") from None
    if holds_secret(storage):
        raise ConfigError(
            "--storage must not hold a password: every user of this machine can read command lines. Put the URL into "
            "an environment variable or a file of mode 600, and name that: --storage env:NAME or --storage file:PATH"
        )


def _plan(study: StoredStudy, storage: str, folder: Path, paths: LocalPaths, *, checked: bool) -> Plan:
    """What the database says of the study, for this machine."""
    specification = as_launched(study, storage=storage)
    specification = replace(specification, data=paths.find(specification.data))
    if not checked:
        require_identity(study, specification)
    return Plan.of(specification, folder, cache=paths.cache)


def _end_at_once(workers: list[Worker]) -> None:
    for worker in workers:
        worker.abandon()
    os._exit(ExitCode.TRY_LATER)


def _stop_at_end_of_input(stop: threading.Event) -> None:
    """Whoever started us holds the other end; when it dies, we must not go on unseen."""
    while os.read(0, 4096):  # not sys.stdin: a thread that waits in it makes Python abort at exit
        pass
    stop.set()
