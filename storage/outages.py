"""When a study's workers could not reach the database, told by them once it was back."""

from sqlalchemy import select

from storage.connection import tables
from storage.records import OutageRecord
from storage.study import StoredStudy


def record_outage(study: StoredStudy, worker: str, *, number: int, lasted_s: float, ended_s_ago: float) -> None:
    """Keep the worker's outage of that number. Telling it again changes nothing."""
    with study.database.writing() as connection:
        statement = tables.insert(connection, tables.outages).values(
            study_id=study.id,
            worker=worker,
            number=number,
            lasted_s=lasted_s,
            ended_at=tables.clock() - ended_s_ago,
        )
        connection.execute(statement.on_conflict_do_nothing())


def read_outages(study: StoredStudy) -> list[OutageRecord]:
    """Every worker's outages, in the order in which they ended."""
    table = tables.outages
    with study.database.reading() as connection:
        rows = connection.execute(
            select(table).where(study.rows(table)).order_by(table.c.ended_at, table.c.worker)
        ).all()
    return [OutageRecord(worker=r.worker, lasted_s=r.lasted_s, ended_at=tables.instant(r.ended_at)) for r in rows]
