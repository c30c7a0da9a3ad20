"""Where a study under fire lies: a new database, on PostgreSQL behind a proxy and on a server that may be killed."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import create_postgresql_database, start_postgresql
from tests.support.fault_proxy import FaultProxy, proxied

KINDS = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The storage URL of the workers, the one around the proxy; on PostgreSQL server and proxy."""

    url: str
    direct: str
    proxy: FaultProxy | None = None
    server: Any = None


@contextmanager
def new_place(kind: str, folder: Path, socket: Path, server: Any) -> Iterator[Place]:
    """An empty database of that kind."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'study.db'}"
        yield Place(url=url, direct=url)
        return
    name = create_postgresql_database(socket)
    with proxied(socket, name) as (proxy, url):
        yield Place(url=url, direct=f"postgresql://postgres@/{name}?host={socket}", proxy=proxy, server=server)


@contextmanager
def own_server() -> Iterator[tuple[Path, Any]]:
    """A PostgreSQL server that may be killed, and where its socket lies."""
    socket = Path(tempfile.mkdtemp(prefix="frcnn-pg-"))
    server = start_postgresql(socket)
    try:
        yield socket, server
    finally:
        server.cleanup()
