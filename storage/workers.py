"""Which workers a study has and what they do, by their last sign of life."""

from typing import Any

from sqlalchemy import Row, delete, select

from storage.connection import tables
from storage.records import WorkerRecord
from storage.study import StoredStudy


def seen(
    study: StoredStudy,
    worker: str,
    *,
    host: str,
    pid: int,
    device: str,
    trial: int | None,
    images: int,
    images_per_s: float,
    doing: str = "",
) -> None:
    """Say that this worker is alive and what it does. The first sign is its start."""
    table = tables.workers
    with study.database.writing() as connection:
        now = tables.clock()
        values = {"host": host, "pid": pid, "device": device, "trial": trial, "images": images}
        values |= {"images_per_s": images_per_s, "doing": doing, "seen_at": now}
        key = {"study_id": study.id, "worker": worker}
        statement = tables.insert(connection, table).values(**key, **values, started_at=now)
        connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


def gone(study: StoredStudy, worker: str) -> None:
    """Forget a worker that leaves; nothing happens if it isn't known."""
    table = tables.workers
    with study.database.writing() as connection:
        connection.execute(delete(table).where(study.rows(table), table.c.worker == worker))


def read_workers(study: StoredStudy) -> list[WorkerRecord]:
    """Every worker that has not left, by start. One that died is among them: its `age_s` grows."""
    table = tables.workers
    with study.database.reading() as connection:
        rows = connection.execute(
            select(table, (tables.clock() - table.c.seen_at).label("age_s"))
            .where(study.rows(table))
            .order_by(table.c.started_at, table.c.worker)
        ).all()
    return [_record(row) for row in rows]


def _record(row: Row[Any]) -> WorkerRecord:
    times = {name: tables.instant(row._mapping[name]) for name in ("started_at", "seen_at")}
    return WorkerRecord(**tables.facts(row) | times | {"age_s": max(0.0, row.age_s)})
