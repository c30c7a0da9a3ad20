"""What a launch says while results can't be written, with snapshots made by hand."""

from collections import namedtuple
from datetime import UTC, datetime
from pathlib import Path

import pytest

from search.launch import trouble as trouble_module
from search.launch.snapshot import Activity, Snapshot
from search.launch.trouble import LEAST_FREE_MIB, SILENT_S, Trouble
from storage.connection.errors import StorageUnavailable
from storage.records import WorkerRecord

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
Usage = namedtuple("Usage", ("total", "used", "free"))


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def trouble(tmp_path: Path, said: list[str]) -> Trouble:
    return Trouble(tmp_path, said.append)


def snapshot(*ages_s: float, trial: int | None = 3) -> Snapshot:
    """Of workers that were heard of so long ago."""
    records = [
        WorkerRecord(
            worker=f"anna-{number}",
            host="anna",
            pid=number,
            device="cpu",
            trial=trial,
            images=16,
            images_per_s=1.0,
            started_at=NOON,
            seen_at=NOON,
            age_s=age_s,
        )
        for number, age_s in enumerate(ages_s)
    ]
    activities = tuple(Activity(worker=record, rungs=0, latest=None) for record in records)
    return Snapshot(finished=0, trials=8, best=None, activities=activities, outcomes=())


def test_a_database_that_is_away_is_said_at_once_and_once_and_so_is_its_return(trouble, said):
    for _ in range(3):
        trouble.database_away(StorageUnavailable("database x doesn't answer"))
    trouble.look(snapshot(1.0))
    trouble.look(snapshot(1.0))
    assert [line.partition(";")[0] for line in said] == ["database x doesn't answer", "the database is back"]
    assert "for 10 min" in said[0]


def test_a_worker_that_falls_silent_while_it_trains_is_named_with_where_to_look(trouble, said, tmp_path):
    trouble.look(snapshot(1.0, SILENT_S + 5))
    trouble.look(snapshot(2.0, SILENT_S + 6))
    assert len(said) == 1
    assert "worker anna-1, trial 3: nothing heard for 30 s" in said[0]
    assert str(tmp_path / "logs") in said[0]
    trouble.look(snapshot(2.0, 1.0))
    assert said[1:] == ["worker anna-1 is heard of again, or has left"]


def test_one_that_prepares_its_trainer_may_be_silent(trouble, said):
    trouble.look(snapshot(10 * SILENT_S, trial=None))
    assert said == []


def test_a_full_disk_is_said_before_anything_fails(trouble, said, tmp_path, monkeypatch):
    free_mib = LEAST_FREE_MIB - 1
    monkeypatch.setattr(trouble_module.shutil, "disk_usage", lambda path: Usage(0, 0, free_mib << 20))
    trouble.look(snapshot(1.0))
    trouble.look(snapshot(1.0))
    free_mib = LEAST_FREE_MIB
    trouble.look(snapshot(1.0))
    assert said == [
        f"{tmp_path}: the disk has 15 MiB left; make room: trials stop where they can't be kept",
        f"{tmp_path}: there is room again",
    ]
