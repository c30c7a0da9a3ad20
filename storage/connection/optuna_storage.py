"""Optuna's storage with a faster reader, and without its two leaks: the password in its URL, and in its pickle."""

from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import TrialParamModel
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection
from sqlalchemy.orm import Session

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

    def _set_trial_param_without_commit(
        self,
        session: Session,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None = None,
    ) -> None:
        """What Optuna calls for each parameter, without its two looks at each: all go into one statement.

        It would see whether the trial runs, and whether an earlier trial had the same kind of distribution. Our trials
        are new or leased, and the specification, which settles the distributions, is the same for a whole study.
        """
        text = distribution_to_json(distribution)
        row = TrialParamModel(
            trial_id=trial_id, param_name=param_name, param_value=param_value_internal, distribution_json=text
        )
        session.add(row)

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
