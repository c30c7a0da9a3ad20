"""Where a database lies: a storage URL taken apart so that its credentials go to the driver and nowhere else.

sqlite:///relative.db   sqlite:////absolute.db   postgresql://user:password@host:port/database?options
env:NAME    the URL stands in an environment variable
file:PATH   the URL stands in a file
"""

import os
import re
import shlex
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from storage.connection.errors import StorageError

_FORMS = "sqlite:///PATH, postgresql://USER:PASSWORD@HOST/DATABASE, env:NAME or file:PATH (a URL kept elsewhere)"
_SQLITE = "sqlite:///"
_SECRET_OPTIONS = ("password", "sslpassword")
_POSTGRESQL = ("postgresql", "postgres")

#: A dead network is noticed within a minute instead of within the kernel's two hours. libpq's names and units.
_CONNECTION_OPTIONS: dict[str, str | int] = {
    "application_name": "frcnn-search",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


#: Where a launch puts the storage of its workers, which must not stand on a command line.
STORAGE_VARIABLE = "FRCNN_STORAGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One database. `url` and `label` hold no credential; `connect_args` may, and are kept out of the repr."""

    url: URL
    label: str
    path: Path | None  # SQLite's file
    connect_args: dict[str, str | int] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Address":
        """The address behind a storage URL or a reference to one.

        Raises:
            StorageError: no such form, variable or file. The message never repeats the URL, which may hold a password.
        """
        resolved = _resolved(text)
        if resolved.startswith(_SQLITE):
            return _sqlite(resolved.removeprefix(_SQLITE))
        url = _parsed(resolved)
        backend = url.get_backend_name()
        if backend == "sqlite" and not url.database and not url.host:
            return _sqlite("")
        if backend == "sqlite":
            raise StorageError("an SQLite URL has three slashes before a relative path and four before an absolute one")
        if backend in _POSTGRESQL:
            return _postgresql(url)
        raise StorageError(f"storage must be {_FORMS}, but its scheme is {backend!r}")

    @property
    def has_secret(self) -> bool:
        """Whether a password stands in the URL itself."""
        return any(name in self.connect_args for name in _SECRET_OPTIONS)

    @property
    def template(self) -> str:
        """The URL as Optuna wants it: braces doubled, because it calls `str.format` on what it gets."""
        return self.url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")


def is_reference(text: str) -> bool:
    """Whether the storage names a place where its URL stands."""
    return text.startswith(("env:", "file:"))


def holds_secret(text: str) -> bool:
    """Whether a storage, as it stands, holds a password.

    Raises:
        StorageError: it is no storage.
    """
    return not is_reference(text) and Address.parse(text).has_secret


def secret_variables(text: str) -> tuple[str, ...]:
    """The environment variables that may hold credentials of a storage; trainers do without them."""
    kind, _, name = text.partition(":")
    return (STORAGE_VARIABLE, "PGPASSWORD", *((name,) if kind == "env" else ()))


def _resolved(text: str) -> str:
    """The URL itself, after following a reference."""
    kind, _, name = text.partition(":")
    if kind == "env":
        if not os.environ.get(name):
            raise StorageError(
                f"storage is env:{name}, but the environment variable {name} is not set; set it to a URL"
            )
        return os.environ[name].strip()
    if kind == "file" and not name.startswith("//"):
        file = Path(name).expanduser()
        try:
            if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise StorageError(f"storage is file:{name}, which others may read; run: chmod 600 {shlex.quote(name)}")
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise StorageError(
                f"storage is file:{name}, but that file can't be read ({reason}); check path and rights"
            ) from None
    return text.strip()


def _parsed(text: str) -> URL:
    # A second @ (or one that was not taken as the end of the credentials) would move a part of the password into the
    # host or the database name, and from there into messages.
    ambiguous = "storage URL: write @ as %40 and / as %2F inside user and password (percent-encoding)"
    if text.count("@") > 1:
        raise StorageError(ambiguous)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StorageError(f"storage must be {_FORMS}; what was given is none of these") from None
    if "@" in text and url.username is None:
        raise StorageError(ambiguous)
    return url


def _sqlite(text: str) -> Address:
    """The address of a file, whose path is no piece of a URL: `?`, `#`, `%` and `@` are characters of names."""
    if not text or text == ":memory:" or text.startswith("file:"):
        raise StorageError("SQLite needs a file, because several processes share the study: sqlite:///study.db")
    if option := re.search(r"\?(\w+)=[^/]*$", text):
        raise StorageError(f"an SQLite URL takes no options, but has {option[1]!r}; leave out the ?…")
    path = Path(text).expanduser()
    plain = quote(str(path)) == str(path)
    url = (
        URL.create("sqlite", database=str(path))
        if plain
        else URL.create("sqlite", database=f"file:{quote(str(path))}", query={"uri": "true"})
    )
    return Address(url=url, label=str(path), path=path, connect_args={"timeout": 60})


def _postgresql(url: URL) -> Address:
    if not url.database:
        raise StorageError("a PostgreSQL URL names its database: postgresql://USER:PASSWORD@HOST/DATABASE")
    options = dict(url.query)
    secrets = {name: str(options.pop(name)) for name in _SECRET_OPTIONS if name in options}
    if url.password:
        secrets["password"] = str(url.password)
    defaults = {name: value for name, value in _CONNECTION_OPTIONS.items() if name not in options}
    host = url.host or options.get("host") or "local socket"
    port = f":{url.port}" if url.port else ""
    return Address(
        # Built anew: URL.set(password=None) keeps the old one.
        url=URL.create("postgresql+psycopg", url.username, None, url.host, url.port, url.database, options),
        label=f"{host}{port}/{url.database}",
        path=None,
        connect_args={**defaults, **secrets},
    )
