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
from search.study.fields import is_text

SQLITE = "sqlite:///"
_KINDS = (SQLITE, "postgresql://", "postgresql+psycopg://", "env:", "file:")


def default_storage(name: str) -> str:
    """The SQLite file of a study, relative to the study file."""
    return f"{SQLITE}{name}.db"


def check_storage(storage: str) -> str:
    """The same text, if it names a storage that we can open.

    Raises:
        ConfigError: another scheme, or a URL without a database.
    """
    kind = next((kind for kind in _KINDS if storage.startswith(kind)), "")
    scheme = storage.split(":", 1)[0][:20] if ":" in storage else "(none)"
    require(
        bool(kind),
        f"must begin with {', '.join(_KINDS)}, but the scheme is {scheme}; for a file of SQLite write sqlite:///PATH.db",
    )
    rest = storage.removeprefix(kind)
    require(bool(rest) and rest != ":memory:", f"must name a file, database or variable after {kind}")
    require("\0" not in storage, "must not hold a NUL character")
    require(is_text(storage), "must be UTF-8 text, but a path or a name in it is not")
    return storage


def absolute_storage(storage: str, folder: Path) -> str:
    """The storage with its path, if it has one, taken from the folder."""
    for kind in (SQLITE, "file:"):
        if storage.startswith(kind):
            return f"{kind}{os.path.abspath(folder / storage.removeprefix(kind))}"
    return storage
