"""Optuna's storage without its two leaks: the password in its URL, and in what pickle makes of it."""

from typing import Any, NoReturn

from optuna.storages import RDBStorage

from storage.address import Address
from storage.errors import StorageError


class UnpickledStorage(RDBStorage):
    """An `RDBStorage` that stays in its process: a pickle of it would carry the credentials in clear."""

    def __getstate__(self) -> NoReturn:
        raise TypeError("a storage isn't sent to another process; open the Database there, by its URL")


def connect_optuna(address: Address, **engine_options: Any) -> RDBStorage:
    """Optuna's storage at the address, its tables made or checked. The caller keeps others from creating them too.

    Raises:
        StorageError: Optuna's tables are there, but from a version that doesn't fit.
    """
    options = {"connect_args": address.connect_args, "hide_parameters": True, **engine_options}
    storage = UnpickledStorage(address.template, engine_kwargs=options, skip_compatibility_check=True)
    storage.engine_kwargs = {}  # the engine has them; the password needn't lie about
    found, needed = storage.get_current_version(), storage.get_head_version()
    if found != needed:
        storage.engine.dispose()
        cure = "run `optuna storage upgrade` on it" if found in storage.get_all_versions() else "update optuna"
        raise StorageError(
            f"database {address.label}: Optuna's tables have version {found}, but this Optuna needs {needed}; {cure}"
        )
    return storage
