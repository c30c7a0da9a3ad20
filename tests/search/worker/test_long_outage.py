"""The server stays away for five minutes, from the middle of an ask, a claim, a report and an end on."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from search.exit_codes import ExitCode
from search.faults.history import HistoryEvent
from storage.connection import tables
from storage.connection.database import Database
from tests.conftest import create_postgresql_database
from tests.support.fault_proxy import proxied
from tests.support.history_checker import check_history, read_history
from tests.support.workforce import found, leave, start_worker, wait_until

AWAY_S = 300.0
LAST_TO_LEAVE_S = 60.0  # the four go away one after the other, each as soon as its statement is met

#: What the database is in the middle of when it goes away → the first words of the statement.
IN_THE_MIDDLE_OF = {
    "an ask": "INSERT INTO trials ",
    "a claim": f"INSERT INTO {tables.leases.name} ",
    "a report": "INSERT INTO trial_intermediate_values ",
    "an end": f"INSERT INTO {tables.outcomes.name} ",
}


def away_s(lines: list[dict], pid: int | None) -> float:
    """For how long that worker's database was away, by its own notes."""
    [outage] = [line["at_s"] for line in lines if line["pid"] == pid and line["event"] == HistoryEvent.OUTAGE][:1]
    [back] = [line["at_s"] for line in lines if line["pid"] == pid and line["event"] == HistoryEvent.BACK][-1:]
    return back - outage


@pytest.mark.slow
def test_five_minutes_without_a_database_cost_no_worker_and_no_trial(
    postgresql_folder: Path, tmp_path: Path, records: Path
):
    name = create_postgresql_database(postgresql_folder)
    direct = f"postgresql://postgres@/{name}?host={postgresql_folder}"
    found(direct, tmp_path, trials=40, pruner="none")
    with ExitStack() as stack:
        ways = [stack.enter_context(proxied(postgresql_folder, name)) for _ in IN_THE_MIDDLE_OF]
        for (proxy, _), statement in zip(ways, IN_THE_MIDDLE_OF.values(), strict=True):
            proxy.leave_at(statement.encode(), AWAY_S)
        workers = [start_worker(url, tmp_path, lease_s=10.0, FRCNN_ANALYTIC_STEP_S="0.02") for _, url in ways]
        wait_until(lambda: all(proxy.counts["left"] == 1 for proxy, _ in ways), LAST_TO_LEAVE_S)
        assert [leave(worker, AWAY_S + 120) for worker in workers] == [ExitCode.DONE] * len(workers)
    lines = read_history(records)
    assert min(away_s(lines, worker.pid) for worker in workers) > AWAY_S - 5
    with Database.open(direct) as database:
        check_history(database, "analytic", lines, trials=40, rungs=(160, 480, 1440))
