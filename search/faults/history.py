"""What this process did to trials, for tests of faults: one JSON line each; inert without the environment variable.

    FRCNN_HISTORY    a folder; each process appends to a file of its own, `PID.jsonl`

A line is written after the database's answer, so what is written happened; what happened may be missing where a process
was killed in between, and then a `TRY` from before it is there. tests/support/history_checker.py replays all files.
"""

import json
import os
import time
from enum import StrEnum
from pathlib import Path

VARIABLE = "FRCNN_HISTORY"


class HistoryEvent(StrEnum):
    """What was done to a trial."""

    CLAIM = "claim"
    TRY = "try"  # about to report or to end: what a process that is killed now may have done without noting it
    REPORT = "report"  # at a rung that had none
    END = "end"  # told, or released in the middle
    DROP = "drop"  # the lease was lost
    OUTAGE = "outage"  # the database went away
    BACK = "back"


def note(event: HistoryEvent, *, trial: int | None = None, token: int | None = None, detail: str = "") -> None:
    """Append a line, if the environment says where."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return
    line = {"event": event, "trial": trial, "token": token, "detail": detail, "pid": os.getpid(), "at_s": time.time()}
    with (Path(folder) / f"{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
