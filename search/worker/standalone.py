"""A worker that nobody launched: `frcnn-search worker`, for schedulers and for other machines."""

import logging
import sys
from pathlib import Path

import optuna

from detector.config import ConfigError
from search.study.storage_url import check_storage
from search.trainer.warm import SetupFailed
from search.worker.loop import Pace
from search.worker.process import code_of, work_on
from storage.connection.address import Address


def work(
    storage: str,
    study: str,
    *,
    folder: Path,
    data_root: Path | None,
    cache: Path | None,
    pace: Pace,
) -> int:
    """Work on the study until it has its trials, or until a signal. Returns the exit code; the log goes to stderr.

    Raises:
        ConfigError: the storage can't be used like this, or code or data differ from the study's.
        StorageError, StorageUnavailable: the database can't be used, or not now.
    """
    check_storage(storage)
    refuse_secret(storage)
    path = Address.parse(storage).path
    if path is not None and not path.exists():
        raise ConfigError(f"{path}: there is no such database; a study begins with `frcnn-search launch`")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return work_on(storage, study, folder=folder.resolve(), data_root=data_root, cache=cache, pace=pace)
    except SetupFailed as failure:
        sys.stderr.write(f"frcnn-search: {failure.verdict.message}\n")
        return code_of(failure)


def refuse_secret(storage: str) -> None:
    """Return if the storage, as it stands on a command line, holds no password.

    Raises:
        ConfigError: it does.
    """
    if not storage.startswith(("env:", "file:")) and Address.parse(storage).has_secret:
        raise ConfigError(
            "--storage must not hold a password: every user of this machine can read command lines. Put the URL into "
            "an environment variable or a file of mode 600, and name that: --storage env:NAME or --storage file:PATH"
        )
