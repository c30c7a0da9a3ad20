"""A sample of a study's boxes, so that any worker can judge anchors without the dataset."""

import json
from typing import Any

from sqlalchemy import select

from storage.connection import tables
from storage.study import StoredStudy


def keep_box_sample(study: StoredStudy, sample: dict[str, Any]) -> None:
    """Keep the sample, plain JSON values. The first writer wins, so that all workers judge alike."""
    text = json.dumps(sample, allow_nan=False)
    with study.database.writing() as connection:
        statement = tables.insert(connection, tables.box_samples).values(study_id=study.id, sample=text)
        connection.execute(statement.on_conflict_do_nothing())


def read_box_sample(study: StoredStudy) -> dict[str, Any] | None:
    """The sample that was kept, or None where nobody has kept one."""
    table = tables.box_samples
    with study.database.reading() as connection:
        text = connection.execute(select(table.c.sample).where(study.rows(table))).scalar_one_or_none()
    return None if text is None else json.loads(text)
