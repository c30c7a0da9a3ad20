import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from storage.connection import tables
from storage.connection.database import Database
from storage.connection.errors import StorageError
from storage.study import find_study
from storage.workers import gone, read_workers, seen


def sign(database: Database, worker: str, **changed: Any) -> None:
    values = {"host": "node-1", "pid": 7, "device": "cpu", "trial": None, "images": 0, "images_per_s": 0.0}
    seen(find_study(database, "cells"), worker, **{**values, **changed})


def age(database: Database, seconds: float) -> None:
    """Let every worker have started and been seen so much earlier."""
    table = tables.workers
    values = {"seen_at": table.c.seen_at - seconds, "started_at": table.c.started_at - seconds}
    with database.writing() as connection:
        connection.execute(update(table).values(values))


@pytest.mark.usefixtures("study")
class TestWorkers:
    def test_say_where_they_run_and_what_they_do(self, database: Database) -> None:
        sign(database, "anna", trial=3, images=640, images_per_s=12.5)
        (worker,) = read_workers(find_study(database, "cells"))
        assert (worker.worker, worker.host, worker.pid, worker.device) == ("anna", "node-1", 7, "cpu")
        assert (worker.trial, worker.images, worker.images_per_s) == (3, 640, 12.5)
        assert abs(worker.seen_at - worker.started_at) < timedelta(seconds=1)
        assert abs(worker.seen_at - datetime.now(UTC)) < timedelta(seconds=5)

    def test_say_what_they_wait_for_until_they_train(self, database: Database) -> None:
        sign(database, "anna", doing="evaluating, 3 of 9")
        assert [worker.doing for worker in read_workers(find_study(database, "cells"))] == ["evaluating, 3 of 9"]
        sign(database, "anna")
        assert [worker.doing for worker in read_workers(find_study(database, "cells"))] == [""]

    def test_keep_their_start_at_every_later_sign(self, database: Database) -> None:
        sign(database, "anna", trial=3)
        age(database, 100)
        (before,) = read_workers(find_study(database, "cells"))
        sign(database, "anna", device="gpu:0", images=64)
        (after,) = read_workers(find_study(database, "cells"))
        assert after.started_at == before.started_at
        assert 99 < (after.seen_at - after.started_at).total_seconds() < 105
        assert (after.device, after.trial, after.images) == ("gpu:0", None, 64)

    def test_grow_old_by_the_databases_clock(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        sign(database, "anna")
        age(database, 90)
        true_time = time.time
        monkeypatch.setattr(time, "time", lambda: true_time() - 86_400)
        (worker,) = read_workers(find_study(database, "cells"))
        assert 90 <= worker.age_s < 95

    def test_are_listed_by_start_until_they_leave(self, database: Database) -> None:
        sign(database, "bert")
        age(database, 10)
        sign(database, "anna")
        assert [worker.worker for worker in read_workers(find_study(database, "cells"))] == ["bert", "anna"]
        for _ in range(2):
            gone(find_study(database, "cells"), "bert")
        assert [worker.worker for worker in read_workers(find_study(database, "cells"))] == ["anna"]

    def test_need_their_study(self, database: Database) -> None:
        with pytest.raises(StorageError, match="no study 'ships'"):
            read_workers(find_study(database, "ships"))
        with pytest.raises(StorageError, match="no study 'ships'"):
            gone(find_study(database, "ships"), "anna")
