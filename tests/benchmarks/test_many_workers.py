"""How a report's time is read out of the workers' notes."""

import pytest

from benchmarks.many_workers import Note, latencies
from search.faults.history import Deed


def note(deed: Deed, at_s: float, *, trial: int = 0, detail: str = "160", pid: int = 1) -> Note:
    return {"deed": deed, "at_s": at_s, "trial": trial, "detail": detail, "pid": pid, "token": 1}


def test_a_report_lasts_from_the_first_try_to_the_answer_and_counts_where_it_ends() -> None:
    lines = [
        note(Deed.TRY, 10.0),
        note(Deed.TRY, 10.4),  # again, after an outage
        note(Deed.REPORT, 10.5),
        note(Deed.TRY, 11.0, trial=3),
        note(Deed.REPORT, 11.25, trial=3),
        note(Deed.TRY, 19.9, pid=2),
        note(Deed.REPORT, 20.1, pid=2),  # after the end of the measurement
        note(Deed.TRY, 12.0, detail="complete"),
        note(Deed.END, 12.1, detail="complete"),
    ]
    assert latencies(lines, from_s=10.0, to_s=20.0) == pytest.approx((0.5, 0.25))
