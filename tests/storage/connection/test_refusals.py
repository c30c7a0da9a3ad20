"""What a PostgreSQL server, or its client, says no to, and what passes: each made by a real server."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from storage.connection.database import Database
from storage.connection.errors import StorageError, StorageUnavailable
from storage.study import create_study
from tests.conftest import create_postgresql_database

ROLES = {
    "reader": "SUPERUSER LOGIN",
    "crowded": "LOGIN CONNECTION LIMIT 0",
    "hurried": "SUPERUSER LOGIN",
    "locked_out": "NOLOGIN",
}
SETTINGS = ("ALTER ROLE reader SET default_transaction_read_only = on", "ALTER ROLE hurried SET statement_timeout = 1")


@pytest.fixture
def url(postgresql_folder: Path) -> Iterator[str]:
    """A new database, with users whom the server refuses something."""
    name = create_postgresql_database(postgresql_folder)
    with psycopg.connect(f"host={postgresql_folder} user=postgres dbname=postgres", autocommit=True) as connection:
        for role, rights in ROLES.items():
            connection.execute(f"CREATE ROLE {role} {rights}")
        for setting in SETTINGS:
            connection.execute(setting)
        yield f"postgresql://postgres@/{name}?host={postgresql_folder}"
        for role in ROLES:
            connection.execute(f"DROP ROLE {role}")


def open_and_create(url: str) -> None:
    with Database.open(url) as database:
        create_study(database, "cells")


@pytest.mark.parametrize(
    ("user", "words"),
    [("reader", "read-only; use another user"), ("locked_out", "no such user log in"), ("nobody", "no such database")],
)
def test_a_user_whom_the_server_refuses_is_the_users_to_change(url: str, user: str, words: str) -> None:
    with pytest.raises(StorageError, match=words):
        open_and_create(url.replace("postgres@", f"{user}@"))


@pytest.mark.parametrize("option", ["colour=red", "sslmode=sometimes", "connect_timeout=soon", "port=99999"])
def test_a_url_that_the_client_does_not_understand_is_the_users_to_change(url: str, option: str) -> None:
    with pytest.raises(StorageError, match="the storage URL has an option"):
        open_and_create(f"{url}&{option}")


@pytest.mark.parametrize(
    ("user", "words"), [("crowded", "no more connections of this user now"), ("hurried", "a statement_timeout")]
)
def test_what_an_administrator_may_change_meanwhile_is_waited_for_and_named(url: str, user: str, words: str) -> None:
    with pytest.raises(StorageUnavailable, match=words):
        open_and_create(url.replace("postgres@", f"{user}@"))


def test_a_host_that_nobody_knows_is_named() -> None:
    with pytest.raises(StorageUnavailable, match="nobody here knows its host name"):
        open_and_create("postgresql://me@no-such-host.invalid/db")
