"""Studies whose trials cost nothing (search/trainer/analytic.py), for figures of all but the detector."""

import sys
from pathlib import Path

from search.launch.compatibility import agree
from search.plan import Plan
from search.study.specification import specification_from
from storage.connection.address import STORAGE_VARIABLE
from storage.connection.database import Database
from storage.study import create_study

STUDY = "analytic"
WORKER = (
    *(sys.executable, "-P", "-m", "search.command_line", "worker", "--checked"),
    *("--storage", f"env:{STORAGE_VARIABLE}", "--study", STUDY),
)
RUNGS = (160, 480, 1440)


def found(
    url: str, folder: Path, *, trials: int, rungs: tuple[int, ...] = RUNGS, batch_size: int | None = None
) -> Plan:
    """A new study with every default but these in the database at the URL, and what a worker knows of it."""
    document = {
        "name": STUDY,
        "storage": url,
        "trainer": "analytic",
        "data": {"train": {"images": str(folder), "annotations": str(folder / "train.json")}},
        "detector": {"canvas": "128x128"},
        "budget": {"trials": trials, "images": rungs[-1], "rungs": list(rungs)},
        "space": {} if batch_size is None else {"batch_size": batch_size},
        "pruner": {"name": "halving"},
    }
    specification = specification_from(document, "this benchmark")
    with Database.open(url) as database:
        agree(create_study(database, STUDY), specification)
    return Plan.of(specification, folder)
