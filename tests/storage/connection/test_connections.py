"""How many connections a machine has to a PostgreSQL server, for how long, and what one does that gets no answer."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from storage.connection import answers, idle, slots
from storage.connection.database import Database
from storage.connection.errors import StorageError, StorageUnavailable
from storage.connection.slots import Slots
from storage.study import study_names
from tests.conftest import create_postgresql_database


@pytest.fixture(autouse=True)
def own_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots that no other test of this machine uses."""
    monkeypatch.setattr(slots.tempfile, "gettempdir", lambda: str(tmp_path))


def connections(folder: Path, name: str) -> int:
    """How many the server sees."""
    with psycopg.connect(f"host={folder} user=postgres", dbname="postgres", autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (name,)).fetchone()
    assert row is not None
    return int(row[0])


def wait_until(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_database_that_nobody_uses_holds_no_connection(postgresql_folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(idle, "IDLE_S", 1.0)
    name = create_postgresql_database(postgresql_folder)
    with Database.open(f"postgresql://postgres@/{name}?host={postgresql_folder}") as database:
        assert connections(postgresql_folder, name) >= 1
        first = database.engine.pool.checkedin()  # type: ignore[attr-defined]
        study_names(database)
        assert database.engine.pool.checkedin() == first  # type: ignore[attr-defined]  # it was used again
        wait_until(lambda: connections(postgresql_folder, name) == 0)
        assert study_names(database) == []


def test_a_slot_is_for_one_at_a_time_and_comes_back(tmp_path: Path) -> None:
    room = Slots("db", most=2)
    held = [room.take(), room.take()]
    with pytest.raises(StorageUnavailable, match=r"all 2 connections .* in use"):
        Slots("db", most=2).take(patience_s=0)
    Slots("other", most=2).take(patience_s=0)
    held[0].release()
    again = Slots("db", most=2).take(patience_s=0)
    held[0].release()  # twice is once
    with pytest.raises(StorageUnavailable):
        room.take(patience_s=0)
    del again
    room.take(patience_s=0)


def test_a_folder_that_cannot_hold_locks_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / f"frcnn-search-{os.getuid()}").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match=r"frcnn-search-.*TMPDIR"):
        Slots("db").take()


@pytest.mark.parametrize("trap", ["a link", "another user's", "open to others"])
@pytest.mark.parametrize("level", ["own folder", "the database's"])
def test_a_folder_that_others_may_have_laid_is_refused_and_nothing_is_put_there(
    tmp_path: Path, trap: str, level: str
) -> None:
    slots_of_ours = Slots("db")
    laid = slots_of_ours._folder.parent if level == "own folder" else slots_of_ours._folder
    laid.parent.mkdir(mode=0o700, exist_ok=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if trap == "a link":
        laid.symlink_to(elsewhere)
    else:
        laid.mkdir(mode=0o700)
        if trap == "open to others":
            laid.chmod(0o777)
        elif os.getuid() == 0:
            os.chown(laid, 65534, 65534)
        else:
            pytest.skip("only root can give a folder away")
    with pytest.raises(StorageError, match="another user's, a link, or open to others"):
        slots_of_ours.take()
    assert [*elsewhere.iterdir()] == []
    if trap != "a link":
        assert [*laid.iterdir()] == []


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    ours = Slots("db", most=1)
    ours.take().release()
    [lock] = ours._folder.iterdir()
    lock.unlink()
    lock.symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError):
        ours.take()
    assert not (tmp_path / "victim").exists()


def hold_a_slot(folder: str, ready: "multiprocessing.synchronize.Event") -> None:
    slots.tempfile.gettempdir = lambda: folder  # type: ignore[attr-defined]
    slot = Slots("db", most=1).take()
    ready.set()
    time.sleep(60)
    slot.release()


def test_a_process_that_dies_gives_its_slot_back(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold_a_slot, args=(str(tmp_path), ready), daemon=True)
    process.start()
    assert ready.wait(60)
    with pytest.raises(StorageUnavailable):
        Slots("db", most=1).take(patience_s=0)
    process.kill()
    Slots("db", most=1).take(patience_s=30)
    process.join()


def test_many_databases_at_once_never_have_more_connections_than_slots(postgresql_folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(slots, "MOST_CONNECTIONS", 3)
    name = create_postgresql_database(postgresql_folder)
    url = f"postgresql://postgres@/{name}?host={postgresql_folder}"
    Database.open(url).close()
    seen, over, failed = [0], threading.Event(), []

    def use() -> None:
        try:
            with Database.open(url) as database:
                for _ in range(5):
                    study_names(database)
        except Exception as error:
            failed.append(error)

    def watch() -> None:
        while not over.is_set():
            seen.append(connections(postgresql_folder, name))

    users = [threading.Thread(target=use) for _ in range(10)]
    watcher = threading.Thread(target=watch)
    for thread in (watcher, *users):
        thread.start()
    for thread in users:
        thread.join()
    over.set()
    watcher.join()
    assert failed == []
    assert 1 <= max(seen) <= 2 * 3  # ten without slots; the server shows one that was closed for a moment longer


def test_a_server_that_says_nothing_while_a_database_is_opened_is_given_up(
    postgresql_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a worker once waited for ever, and all that were started later with it: it held the lock of the tables."""
    monkeypatch.setattr(answers, "ANSWER_LIMIT_S", 0.5)
    name = create_postgresql_database(postgresql_folder)
    url = f"postgresql://postgres@/{name}?host={postgresql_folder}"
    Database.open(url).close()
    with psycopg.connect(f"host={postgresql_folder} user=postgres", dbname=name) as blocker:
        blocker.execute("LOCK TABLE version_info IN ACCESS EXCLUSIVE MODE")  # Optuna reads it first
        with pytest.raises(StorageUnavailable, match="doesn't answer"):
            Database.open(url)
    Database.open(url).close()
