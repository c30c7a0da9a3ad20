"""Optuna's storage with a faster reader, and without its two leaks: the password in its URL, and in its pickle."""

from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection

from storage.connection.address import Address
from storage.connection.errors import StorageError
from storage.connection.trials import read_trial, read_trials


class StudyStorage(RDBStorage):
    """An `RDBStorage` that stays in its process: a pickle of it would carry the credentials in clear.

    It reads trials within `reading`, which its `Database` sets.
    """

    reading: Callable[[], AbstractContextManager[Connection]]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        with self.reading() as connection:
            return read_trial(connection, trial_id)

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """What Optuna's cache and `get_all_trials` ask for; a private name of Optuna's, as its cache calls it."""
        with self.reading() as connection:
            trials = read_trials(connection, study_id, newer_than=trial_id_greater_than, also=included_trial_ids)
        return trials if states is None else [trial for trial in trials if trial.state in states]

    def __getstate__(self) -> NoReturn:
        raise TypeError("a storage isn't sent to another process; open the Database there, by its URL")


def connect_optuna(address: Address, **engine_options: Any) -> StudyStorage:
    """Optuna's storage at the address, its tables made or checked. The caller keeps others from creating them too.

    Raises:
        StorageError: Optuna's tables are there, but from a version that doesn't fit.
    """
    options = {"connect_args": address.connect_args, "hide_parameters": True, **engine_options}
    storage = StudyStorage(address.template, engine_kwargs=options, skip_compatibility_check=True)
    storage.engine_kwargs = {}  # the engine has them; the password needn't lie about
    found, needed = storage.get_current_version(), storage.get_head_version()
    if found != needed:
        storage.engine.dispose()
        cure = "run `optuna storage upgrade` on it" if found in storage.get_all_versions() else "update optuna"
        raise StorageError(
            f"database {address.label}: Optuna's tables have version {found}, but this Optuna needs {needed}; {cure}"
        )
    return storage
