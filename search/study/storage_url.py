"""Where the study is stored: a database URL, or a reference to one that keeps its password out of files.

    sqlite:///study.db                 a file beside the study file
    postgresql://user@host/database    (postgresql+psycopg:// is the same)
    env:NAME                           the URL stands in this environment variable
    file:PATH                          the URL stands in this file

No message of this module shows more of a URL than its scheme.
"""

import os
from pathlib import Path

from detector.config import require

SQLITE = "sqlite:///"
_SERVERS = ("postgresql://", "postgresql+psycopg://")
_REFERENCES = ("env:", "file:")


def default_storage(name: str) -> str:
    """The SQLite file of a study, relative to the study file."""
    return f"{SQLITE}{name}.db"


def check_storage(storage: str) -> str:
    """The same text, if it names a storage that we can open.

    Raises:
        ConfigError: another scheme, or a URL without a database.
    """
    kinds = (SQLITE, *_SERVERS, *_REFERENCES)
    kind = next((kind for kind in kinds if storage.startswith(kind)), None)
    scheme = storage.split(":", 1)[0] if ":" in storage else "(none)"
    require(
        kind is not None,
        f"must begin with {', '.join(kinds)}, but the scheme is {scheme[:20]}; leave it out for SQLite beside the file",
    )
    rest = storage.removeprefix(kind or "")
    require(bool(rest) and rest != ":memory:", f"must name a file, database or variable after {kind}")
    require("\0" not in storage, "must not hold a NUL character")
    return storage


def absolute_storage(storage: str, folder: Path) -> str:
    """The storage with its path, if it has one, taken from the folder."""
    for kind in (SQLITE, "file:"):
        if storage.startswith(kind):
            return f"{kind}{os.path.abspath(folder / storage.removeprefix(kind))}"
    return storage
