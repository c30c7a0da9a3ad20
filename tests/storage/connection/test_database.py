import errno
import os
import pickle
import sqlite3
import stat
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from sqlalchemy import inspect, text

from storage.box_samples import keep_box_sample, read_box_sample
from storage.connection import tables
from storage.connection.address import Address
from storage.connection.database import Database
from storage.connection.errors import StorageError, StorageUnavailable
from storage.connection.sqlite import require_locks
from storage.leases import Leases
from storage.outages import read_outages
from storage.study import find_study, study_names
from storage.workers import read_workers, seen
from tests.support.contenders import PROCESSES, open_and_name, race
from tests.support.studies import create_optuna_study, load_optuna_study

CANARY = "C4n/{a}r%y:@{SCHEMA_VERSION}"
CANARY_IN_URL = "C4n%2F{a}r%25y%3A%40{SCHEMA_VERSION}"


def complete_text(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.fixture
def folder_of_a_plain_user(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, seen by a user for whom permissions count: root becomes somebody else meanwhile."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    open_and_name(f"sqlite:///{tmp_path / 'any.db'}")  # imports what somebody else might not be allowed to read
    nobody = 65534
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, nobody, nobody)
        os.seteuid(nobody)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


class TestEveryDatabase:
    def test_holds_optunas_tables_and_ours_side_by_side(self, database: Database) -> None:
        names = set(inspect(database.engine).get_table_names())
        assert {"studies", "trials", "alembic_version"} <= names
        assert {name for name in names if name.startswith("frcnn_")} == set(tables.OURS.tables)

    def test_opens_again_with_what_was_written(self, url: str) -> None:
        assert open_and_name(url) == ["cells"]
        assert open_and_name(url) == ["cells"]

    def test_refuses_a_schema_of_the_future_and_leaves_it_alone(self, url: str) -> None:
        with Database.open(url) as database, database.writing() as connection:
            connection.execute(tables.schema.update().values(version=7))
        with pytest.raises(
            StorageError, match=rf"has schema 7 .* knows up to {tables.SCHEMA_VERSION}; update frcnn-search"
        ):
            Database.open(url)

    def test_of_an_older_program_is_brought_up_to_date_with_all_that_it_holds(self, url: str) -> None:
        with Database.open(url) as database:
            create_optuna_study(database, "cells").ask()
            Leases(find_study(database, "cells")).claim(0, "anna")
            with database.writing() as connection:  # as version 1 left it
                tables.outages.drop(connection)
                connection.execute(tables.schema.update().values(version=1))
        with Database.open(url) as database:
            assert [lease.worker for lease in Leases(find_study(database, "cells")).held()] == ["anna"]
            assert read_outages(find_study(database, "cells")) == []
            with database.reading() as connection:
                assert connection.execute(tables.schema.select()).all() == [(tables.SCHEMA_VERSION,)]

    def test_adds_what_an_older_schema_lacks_and_keeps_the_rest(self, url: str) -> None:
        with Database.open(url) as database:
            create_optuna_study(database, "cells")
            with database.writing() as connection:  # as version 2 left it
                tables.box_samples.drop(connection)
                connection.execute(tables.schema.update().values(version=2))
        with Database.open(url) as database:
            keep_box_sample(find_study(database, "cells"), {"boxes": [[1.5, 2, 3, 4]]})
            keep_box_sample(find_study(database, "cells"), {"boxes": []})  # the first one stays
            assert read_box_sample(find_study(database, "cells")) == {"boxes": [[1.5, 2, 3, 4]]}
            with database.reading() as connection:
                assert connection.execute(tables.schema.select()).all() == [(tables.SCHEMA_VERSION,)]

    def test_adds_the_columns_that_an_older_table_lacks_and_keeps_its_rows(self, url: str) -> None:
        with Database.open(url) as database:
            create_optuna_study(database, "cells")
            sign = {"host": "h", "pid": 1, "device": "cpu", "trial": None, "images": 0, "images_per_s": 0.0}
            seen(find_study(database, "cells"), "anna", **sign)
            with database.writing() as connection:  # as version 3 left it
                connection.execute(text("ALTER TABLE frcnn_workers DROP COLUMN doing"))
                connection.execute(tables.schema.update().values(version=3))
        with Database.open(url) as database:
            assert [worker.doing for worker in read_workers(find_study(database, "cells"))] == [""]
            seen(find_study(database, "cells"), "anna", **sign, doing="evaluating")
            assert [worker.doing for worker in read_workers(find_study(database, "cells"))] == ["evaluating"]

    def test_can_be_opened_by_eight_processes_at_once_while_it_is_new(self, url: str) -> None:
        assert race(open_and_name, url) == [["cells"]] * PROCESSES
        with Database.open(url) as database, database.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM frcnn_schema")).scalar() == 1
            assert connection.execute(text("SELECT count(*) FROM version_info")).scalar() == 1

    def test_of_an_older_program_is_brought_up_to_date_once_by_eight_processes(self, url: str) -> None:
        with Database.open(url) as database:
            create_optuna_study(database, "cells")
            lacking = [table for table in tables.OURS.sorted_tables if table.name != "frcnn_schema"]
            with database.writing() as connection:  # the more it lacks, the longer they are at it at the same time
                tables.OURS.drop_all(connection, tables=lacking)
                connection.execute(tables.schema.update().values(version=1))
        assert race(open_and_name, url) == [["cells"]] * PROCESSES
        with Database.open(url) as database, database.reading() as connection:
            assert connection.execute(tables.schema.select()).all() == [(tables.SCHEMA_VERSION,)]

    def test_undoes_a_transaction_that_raises(self, database: Database, study: optuna.Study) -> None:
        def fail_half_way() -> None:
            with database.writing() as connection:
                connection.execute(tables.studies.insert().values(study_id=1, specification="{}", created_at=0.0))
                raise KeyError

        with pytest.raises(KeyError):
            fail_half_way()
        with database.reading() as connection:
            assert connection.execute(tables.studies.select()).all() == []

    def test_cant_be_pickled_with_its_credentials(self, database: Database) -> None:
        with pytest.raises(TypeError, match="open the Database there"):
            pickle.dumps(database.optuna)

    def test_forgets_our_rows_when_optuna_deletes_the_study(self, database: Database, study: optuna.Study) -> None:
        with database.writing() as connection:
            row = {"study_id": study._study_id, "specification": "{}", "created_at": 0.0}
            connection.execute(tables.studies.insert().values(row))
        optuna.delete_study(study_name="cells", storage=database.optuna)
        with database.reading() as connection:
            assert connection.execute(tables.studies.select()).all() == []

    def test_has_a_clock_in_seconds_since_1970_in_utc(self, database: Database) -> None:
        with database.reading() as connection:
            seconds = connection.execute(tables.clock().select()).scalar_one()
            epoch = "extract(epoch from now())" if connection.dialect.name == "postgresql" else "strftime('%s','now')"
            whole = connection.execute(text(f"SELECT CAST({epoch} AS double precision)")).scalar_one()
        assert seconds == pytest.approx(whole, abs=1.5)


class TestSqlite:
    def test_creates_the_parent_folders(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "b" / "study.db"
        with Database.open(f"sqlite:///{path}") as database:
            assert path.is_file()
            assert database.label == str(path)

    def test_writes_ahead_syncs_normally_checks_foreign_keys_and_waits_a_minute(self, sqlite_url: str) -> None:
        expected = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 60_000}
        with Database.open(sqlite_url) as database, database.reading() as connection:
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in expected}
        assert found == expected

    def test_locks_when_a_transaction_begins_but_not_for_a_snapshot(self, sqlite_url: str, tmp_path: Path) -> None:
        with Database.open(sqlite_url) as database, closing(sqlite3.connect(tmp_path / "study.db", timeout=0)) as other:
            other.isolation_level = None
            with database.reading() as connection:
                connection.execute(tables.studies.select()).all()
                other.execute("BEGIN IMMEDIATE")
                other.execute("ROLLBACK")
            with database.writing(), pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")

    def test_is_refused_where_every_lock_is_granted(self, tmp_path: Path) -> None:
        with pytest.raises(
            StorageError, match=r"can't hold an SQLite database: .* both granted\); choose a local disk"
        ):
            require_locks(tmp_path / "study.db.lock", lock=lambda descriptor, command, what: what)

    def test_is_refused_where_locks_are_unknown(self, tmp_path: Path) -> None:
        def unknown(descriptor: int, command: int, what: bytes) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        with pytest.raises(StorageError, match="doesn't lock files \\(No locks available\\)"):
            require_locks(tmp_path / "study.db.lock", lock=unknown)

    def test_lies_well_where_locks_hold_and_where_another_process_is_just_looking(self, tmp_path: Path) -> None:
        asked = []

        def refuse(descriptor: int, command: int, what: bytes) -> None:
            asked.append(command)
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

        require_locks(tmp_path / "study.db.lock")
        require_locks(tmp_path / "study.db.lock", lock=refuse)
        assert asked

    def test_is_never_made_anew_where_it_was_deleted_or_exchanged(self, tmp_path: Path) -> None:
        with Database.open(f"sqlite:///{tmp_path / 'study.db'}") as database:
            create_optuna_study(database, "cells")
            (tmp_path / "study.db").rename(tmp_path / "moved.db")
            for call in (study_names, lambda database: load_optuna_study(database, "cells")):
                with pytest.raises(StorageUnavailable, match="was deleted or moved away; put it back"):
                    call(database)
            assert not (tmp_path / "study.db").exists()
            (tmp_path / "moved.db").rename(tmp_path / "study.db")
            assert study_names(database) == ["cells"]
            other = tmp_path / "other"
            with Database.open(f"sqlite:///{other / 'study.db'}") as another:
                create_optuna_study(another, "ships")
            for part in tmp_path.glob("study.db*"):
                part.unlink()
            (other / "study.db").rename(tmp_path / "study.db")
            assert study_names(database) == ["ships"]  # what is there counts, not a file that nobody sees

    def test_braces_in_the_path_are_a_part_of_the_path(self, tmp_path: Path) -> None:
        path = tmp_path / "{SCHEMA_VERSION}%d" / "{x}.db"
        with Database.open(f"sqlite:///{path}"):
            assert path.is_file()

    @pytest.mark.parametrize("content", [b"just a text, and long enough to have a header" * 9], ids=["text"])
    def test_names_a_file_that_is_no_database(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "notes.txt"
        path.write_bytes(content)
        with pytest.raises(StorageError, match=r"notes\.txt isn't an SQLite database; choose another path"):
            Database.open(f"sqlite:///{path}")
        assert path.read_bytes() == content

    def test_names_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match=r"is a folder; name a file in it: sqlite:///.*study\.db"):
            Database.open(f"sqlite:///{tmp_path}")

    def test_names_a_parent_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StorageError, match="its folder can't be created"):
            Database.open(f"sqlite:///{tmp_path}/file/study.db")

    def test_names_a_read_only_file(self, folder_of_a_plain_user: Path) -> None:
        path = folder_of_a_plain_user / "study.db"
        open_and_name(f"sqlite:///{path}")
        path.chmod(stat.S_IRUSR)
        with pytest.raises(StorageError, match=r"study\.db is read-only; make the file and its folder writable"):
            Database.open(f"sqlite:///{path}")

    def test_names_a_folder_that_cant_be_written(self, folder_of_a_plain_user: Path) -> None:
        folder_of_a_plain_user.chmod(stat.S_IRUSR | stat.S_IXUSR)
        with pytest.raises(StorageError, match=r"its folder can't be written \(Permission denied\)"):
            Database.open(f"sqlite:///{folder_of_a_plain_user / 'study.db'}")

    def test_reports_a_database_that_turned_read_only(self, sqlite_url: str) -> None:
        with Database.open(sqlite_url) as database, database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only=ON")  # what a read-only file answers, for root too
            connection.rollback()
            connection.detach()
            with (
                pytest.raises(StorageError, match="can't be written; make the file and its folder writable"),
                database.guarded(),
            ):
                connection.execute(tables.studies.delete())

    def test_reports_a_database_that_others_keep_locked(self, sqlite_url: str, tmp_path: Path) -> None:
        with Database.open(sqlite_url) as database, closing(sqlite3.connect(tmp_path / "study.db")) as other:
            other.isolation_level = None
            with database.reading() as connection:  # the pool's only connection so far
                connection.exec_driver_sql("PRAGMA busy_timeout=1")
            other.execute("BEGIN IMMEDIATE")
            message = "another process has been writing for too long"
            with pytest.raises(StorageUnavailable, match=message), database.writing():
                pass
            with pytest.raises(StorageUnavailable, match=message), database.guarded():
                database.optuna.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "cells")


class TestPostgresql:
    def test_a_password_of_every_awkward_character_logs_in_and_shows_nowhere(
        self, postgresql_url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = postgresql_url.replace("postgres@", f"postgres:{CANARY_IN_URL}@")
        with Database.open(url) as database:
            storage = database.optuna
            visible = [database.label, repr(database), storage.url, repr(storage.__dict__), str(database.engine.url)]
            visible += [database.engine.url.render_as_string(hide_password=False), repr(database.engine), caplog.text]
            assert create_optuna_study(database, "cells").trials == []
        assert not [text for text in visible if "C4n" in text]

    def test_the_driver_gets_the_password_as_it_was_meant(self) -> None:
        address = Address.parse(f"postgresql://me:{CANARY_IN_URL}@host:5433/db?sslmode=disable")
        assert address.connect_args["password"] == CANARY
        assert address.label == "host:5433/db"
        assert "C4n" not in repr(address) + address.template

    def test_a_wrong_database_is_the_users_to_change(self, postgresql_url: str) -> None:
        with pytest.raises(StorageError, match="no such database, user or table") as raised:
            Database.open(postgresql_url.replace("postgres@/study", f"postgres:{CANARY_IN_URL}@/no_study"))
        assert "C4n" not in complete_text(raised.value)

    def test_a_server_that_is_away_may_come_back(self, tmp_path: Path) -> None:
        with pytest.raises(StorageUnavailable, match=r"/db doesn't answer") as raised:
            Database.open(f"postgresql://me:{CANARY_IN_URL}@/db?host={tmp_path}")
        assert "C4n" not in complete_text(raised.value)

    def test_a_connection_that_the_server_cut_is_unavailable_once_and_then_replaced(self, postgresql_url: str) -> None:
        with Database.open(postgresql_url) as database:
            cut = "SELECT pg_terminate_backend(pg_backend_pid())"
            with pytest.raises(StorageUnavailable, match="doesn't answer"), database.writing() as connection:
                connection.execute(text(cut))
            assert study_names(database) == []


class TestAddress:
    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("", "storage must be sqlite"),
            ("study.db", "storage must be sqlite"),
            ("mysql://root:C4n@host/db", "its scheme is 'mysql'"),
            ("sqlite://", "SQLite needs a file"),
            ("sqlite:///:memory:", "SQLite needs a file"),
            ("sqlite://study.db", "three slashes before a relative path and four"),
            ("sqlite:///study.db?mode=ro", "takes no options, but has 'mode'"),
            ("postgresql://me:C4n@host", "names its database"),
            ("postgresql://me:C4n@x@host/db", "write @ as %40"),
            ("postgresql://m/e:C4n@host/db", "write @ as %40"),
            ("postgresql://me:C4n", "storage must be sqlite"),
            ("postgresql://me:C4n@host:C4n/db", "storage must be sqlite"),
            ("env:FRCNN_TEST_NOT_SET", "environment variable FRCNN_TEST_NOT_SET is not set"),
            ("file:/no/such/file", r"that file can't be read \(No such file"),
        ],
    )
    def test_says_what_is_wrong_without_repeating_the_url(self, url: str, message: str) -> None:
        with pytest.raises(StorageError, match=message) as raised:
            Address.parse(url)
        assert "C4n" not in complete_text(raised.value)

    def test_follows_a_variable_and_a_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        url = "postgres://me:secret@host/db"
        monkeypatch.setenv("FRCNN_TEST_URL", url)
        (tmp_path / "url").write_text(url + "\n")
        (tmp_path / "url").chmod(0o600)
        expected = Address.parse(url)
        assert expected.url.drivername == "postgresql+psycopg"
        assert Address.parse("env:FRCNN_TEST_URL") == expected
        assert Address.parse(f"file:{tmp_path / 'url'}") == expected

    def test_takes_passwords_out_of_the_options_too(self) -> None:
        address = Address.parse("postgresql://me@host/db?password=C4n&sslpassword=C4n&connect_timeout=3")
        assert address.connect_args["password"] == address.connect_args["sslpassword"] == "C4n"
        assert "connect_timeout" not in address.connect_args
        assert address.url.query == {"connect_timeout": "3"}
        assert "C4n" not in address.template + address.label + repr(address)


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%41", "a@b@c", "{x}", "two words", "é", "100%"])
def test_a_path_is_a_path_whatever_characters_it_has(tmp_path: Path, name: str) -> None:
    file = tmp_path / name / "study.db"
    for other in (file, tmp_path / "other" / "study.db"):
        with Database.open(f"sqlite:///{other}") as database:
            create_optuna_study(database, other.parent.name)
    assert file.is_file()
    with Database.open(f"sqlite:///{file}") as database:
        assert study_names(database) == [name]
        assert database.label == str(file)


def test_a_url_in_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(f"sqlite:///{tmp_path / 'study.db'}")
    file.chmod(0o644)
    with pytest.raises(StorageError, match="which others may read; run: chmod 600"):
        Address.parse(f"file:{file}")
    file.chmod(0o600)
    assert Address.parse(f"file:{file}").path == tmp_path / "study.db"
