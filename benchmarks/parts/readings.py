"""A study's readings in the order in which they came, each with the images that the whole study had cost by then.

The database keeps readings by trial, without their times: they are looked for every second while the study runs, and
kept as JSON lines, so that a study that is gone on with keeps its order.
"""

import json
import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from search.study.specification import Specification
from storage.connection.address import Address
from storage.connection.database import Database
from storage.outcomes import read_outcomes
from storage.study import find_study, study_names
from storage.telemetry import read_rungs

LOOK_EVERY_S = 1.0  # a stretch of training takes many


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReading:
    """One evaluation of one trial."""

    trial: int
    images: int  # that the trial had seen
    ap: float
    study_images: int  # that all trials together had seen


def reached(readings: Iterable[StudyReading], ap: float) -> StudyReading | None:
    """The first reading of at least that AP; None where there is none."""
    return next((reading for reading in readings if reading.ap >= ap), None)


def best(readings: Sequence[StudyReading]) -> StudyReading:
    """The first of the best readings.

    Raises:
        ValueError: there is none.
    """
    if not readings:
        raise ValueError("a study must leave a reading, but it has none; its log says why")
    return max(readings, key=lambda reading: reading.ap)


def kept_readings(file: Path) -> list[StudyReading]:
    """What was written there so far; a line that was cut off at the end counts as none."""
    if not file.is_file():
        return []
    whole = file.read_text(encoding="utf-8").rpartition("\n")[0]
    return [StudyReading(**json.loads(line)) for line in whole.splitlines()]


@contextmanager
def followed(specification: Specification, file: Path) -> Iterator[None]:
    """Write readings into the file, as they come, while the study runs in this block on this machine's SQLite."""
    over = threading.Event()

    def follow() -> None:
        while not over.wait(LOOK_EVERY_S):
            write_new(specification, file)

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        over.set()
        follower.join()
        write_new(specification, file)


def write_new(specification: Specification, file: Path) -> None:
    """Append the readings that are not in the file yet."""
    path = Address.parse(specification.storage).path
    if path is None or not path.is_file():
        return
    known = {(each.trial, each.images) for each in kept_readings(file)}
    new = [each for each in _current(specification) if (each.trial, each.images) not in known]
    with file.open("a", encoding="utf-8") as lines:
        lines.writelines(json.dumps(asdict(each)) + "\n" for each in new)


def _current(specification: Specification) -> list[StudyReading]:
    with Database.open(specification.storage) as database:
        if specification.name not in study_names(database):
            return []
        study = find_study(database, specification.name)
        rungs, outcomes = read_rungs(study), read_outcomes(study)
    seen: dict[int, int] = {}
    for trial, images in [*((r.trial, r.images) for r in rungs), *((o.trial, o.images) for o in outcomes)]:
        seen[trial] = max(seen.get(trial, 0), images)
    total = sum(seen.values())
    return [
        StudyReading(trial=r.trial, images=r.images, ap=0.0 if math.isnan(r.ap) else r.ap, study_images=total)
        for r in rungs
    ]
