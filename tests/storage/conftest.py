"""A fresh database for each test: an SQLite file, or a database of a real PostgreSQL that pip installed."""

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from sqlalchemy.pool import QueuePool

from storage.connection.database import Database
from tests.support.studies import create_optuna_study


@pytest.fixture(autouse=True, scope="session")
def _quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


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
    return create_optuna_study(database, "cells", sampler=optuna.samplers.RandomSampler(seed=1))
