"""Replays what every process noted (search/history.py) and compares it with what the database holds."""

import json
from collections import Counter
from pathlib import Path

from optuna.trial import TrialState

from search.history import Deed
from storage.database import Database
from storage.outcomes import read_outcomes
from storage.studies import load_study
from storage.telemetry import read_rungs


def read_history(folder: Path) -> list[dict]:
    """The lines of all processes; those of one process are in their order."""
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def check_history(database: Database, study_name: str, history: list[dict], *, trials: int, rungs) -> None:
    """No trial is lost, doubled, stuck, or reported twice; whoever wrote held the lease that he wrote with."""
    stored = load_study(database, study_name).get_trials(deepcopy=False)
    assert [trial.number for trial in stored] == list(range(trials))
    assert all(trial.state.is_finished() for trial in stored), [trial.state for trial in stored]
    outcomes = {record.trial: record.outcome for record in read_outcomes(database, study_name)}
    assert sorted(outcomes) == list(range(trials))
    assert "interrupted" not in outcomes.values()

    owners: dict[tuple[int, int], set[int]] = {}
    for line in history:
        if line["deed"] == Deed.CLAIM:  # one process may note a claim twice: its answer was lost
            owners.setdefault((line["trial"], line["token"]), set()).add(line["pid"])
    assert {trial for trial, _ in owners} == set(range(trials))
    assert all(len(pids) == 1 for pids in owners.values()), f"two owners with one token: {owners}"
    for line in history:
        if line["deed"] in (Deed.REPORT, Deed.END):
            assert owners[line["trial"], line["token"]] == {line["pid"]}, line
    ends = [line["trial"] for line in history if line["deed"] == Deed.END and line["detail"] != "interrupted"]
    assert max(Counter(ends).values(), default=0) <= 1, f"ended twice: {ends}"
    reports = Counter((line["trial"], int(line["detail"])) for line in history if line["deed"] == Deed.REPORT)
    assert max(reports.values(), default=0) <= 1, f"reported twice: {reports}"

    for trial in stored:
        reached = sorted(trial.intermediate_values)
        assert reached == list(rungs[: len(reached)])  # none is missing in between
        assert len(read_rungs(database, study_name, trial.number)) == len(reached)
        assert {step for number, step in reports if number == trial.number} <= set(reached)
        if trial.state is TrialState.COMPLETE:
            assert reached == list(rungs)
