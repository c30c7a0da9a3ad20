"""Logs of workers and trainers: appended, and bounded."""

from pathlib import Path
from typing import IO

MOST_MIB = 16  # of one log; the one before is kept beside it
MOST_TRAINER_LOGS = 64  # each worker's trainer has one of its own


def open_log(log: Path) -> IO[bytes]:
    """The log, to append to. One that is too large is put aside first, and the oldest of too many are removed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > MOST_MIB << 20:
        log.replace(log.with_suffix(".log.1"))
    others = sorted(log.parent.glob("trainer-*.log"), key=lambda other: other.stat().st_mtime)
    for other in [other for other in others if other != log][: -(MOST_TRAINER_LOGS - 1)]:
        other.unlink(missing_ok=True)
    return log.open("ab")
