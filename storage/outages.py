"""When a study's workers could not reach the database, told by them once it was back."""

from sqlalchemy import select

from storage.connection import tables
from storage.connection.database import Database
from storage.records import OutageRecord
from storage.study import find_study


def record_outage(
    database: Database, study_name: str, worker: str, *, number: int, lasted_s: float, ended_s_ago: float
) -> None:
    """Keep the worker's outage of that number. Telling it again changes nothing.

    Raises:
        StorageError: no such study.
    """
    with database.writing() as connection:
        statement = tables.insert(connection, tables.outages).values(
            study_id=find_study(connection, study_name, database.label),
            worker=worker,
            number=number,
            lasted_s=lasted_s,
            ended_at=tables.clock() - ended_s_ago,
        )
        connection.execute(statement.on_conflict_do_nothing())


def read_outages(database: Database, study_name: str) -> list[OutageRecord]:
    """Every worker's outages, in the order in which they ended.

    Raises:
        StorageError: no such study.
    """
    table = tables.outages
    with database.reading() as connection:
        study_id = find_study(connection, study_name, database.label)
        rows = connection.execute(
            select(table).where(table.c.study_id == study_id).order_by(table.c.ended_at, table.c.worker)
        ).all()
    return [OutageRecord(worker=r.worker, lasted_s=r.lasted_s, ended_at=tables.instant(r.ended_at)) for r in rows]
