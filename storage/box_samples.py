"""A sample of a study's boxes, so that any worker can judge anchors without the dataset."""

import json
from typing import Any

from sqlalchemy import select

from storage.connection import tables
from storage.connection.database import Database
from storage.study import find_study


def keep_box_sample(database: Database, study_name: str, sample: dict[str, Any]) -> None:
    """Keep the sample, plain JSON values. The first writer wins, so that all workers judge alike.

    Raises:
        StorageError: no such study.
    """
    text = json.dumps(sample, allow_nan=False)
    with database.writing() as connection:
        statement = tables.insert(connection, tables.box_samples).values(
            study_id=find_study(connection, study_name, database.label), sample=text
        )
        connection.execute(statement.on_conflict_do_nothing())


def read_box_sample(database: Database, study_name: str) -> dict[str, Any] | None:
    """The sample that was kept, or None where nobody has kept one.

    Raises:
        StorageError: no such study.
    """
    table = tables.box_samples
    with database.reading() as connection:
        study_id = find_study(connection, study_name, database.label)
        text = connection.execute(select(table.c.sample).where(table.c.study_id == study_id)).scalar_one_or_none()
    return None if text is None else json.loads(text)
