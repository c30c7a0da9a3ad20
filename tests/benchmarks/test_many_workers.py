"""How a report's time is read out of the workers' notes."""

import pytest

from benchmarks.many_workers import Note, latencies
from search.faults.history import HistoryEvent


def note(event: HistoryEvent, at_s: float, *, trial: int = 0, detail: str = "160", pid: int = 1) -> Note:
    return {"event": event, "at_s": at_s, "trial": trial, "detail": detail, "pid": pid, "token": 1}


def test_a_report_lasts_from_the_first_try_to_the_answer_and_counts_where_it_ends() -> None:
    lines = [
        note(HistoryEvent.TRY, 10.0),
        note(HistoryEvent.TRY, 10.4),  # again, after an outage
        note(HistoryEvent.REPORT, 10.5),
        note(HistoryEvent.TRY, 11.0, trial=3),
        note(HistoryEvent.REPORT, 11.25, trial=3),
        note(HistoryEvent.TRY, 19.9, pid=2),
        note(HistoryEvent.REPORT, 20.1, pid=2),  # after the end of the measurement
        note(HistoryEvent.TRY, 12.0, detail="complete"),
        note(HistoryEvent.END, 12.1, detail="complete"),
    ]
    assert latencies(lines, from_s=10.0, to_s=20.0) == pytest.approx((0.5, 0.25))
