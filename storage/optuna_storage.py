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
    try:
        storage = UnpickledStorage(address.template, engine_kwargs=options)
    except RuntimeError as error:  # Optuna's way to say that the schema doesn't fit
        raise StorageError(f"database {address.label}: {error}") from error
    storage.engine_kwargs = {}  # the engine has them; the password needn't lie about
    return storage
