"""Replays what every process noted (search/faults/history.py) and compares it with what the database holds."""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial

from search.faults.history import HistoryEvent
from storage.connection.database import Database
from storage.outcomes import outcomes_by_trial
from storage.study import find_study
from storage.telemetry import read_rungs, read_telemetry
from tests.support.studies import load_optuna_study
from trial.outcome import Outcome
from trial.standing import standing

OPEN = [outcome.value for outcome in Outcome if not outcome.final]  # a trial may have them any number of times
Key = tuple[int, str]  # a trial, and a rung or an outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the database holds, and who accounts for it."""

    stored: int  # rungs and ends
    noted: int  # by the process that wrote them, after the database's answer
    tried: int  # noted before only: its process was killed before it could note the answer

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(stored=self.stored + other.stored, noted=self.noted + other.noted, tried=self.tried + other.tried)


def read_history(folder: Path) -> list[dict]:
    """The lines of all processes; those of one process are in their order."""
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def check_history(
    database: Database, study_name: str, history: list[dict], *, trials: int, rungs, killed: Collection[int] = ()
) -> Tally:
    """No trial is lost, doubled, stuck, or reported twice; whoever wrote held the lease that he wrote with.

    What the database holds is exactly what the processes noted; of those that were killed, what they last tried.
    """
    stored = load_optuna_study(database, study_name).get_trials(deepcopy=False)
    asked = len(stored)
    assert [trial.number for trial in stored] == list(range(asked))
    assert all(trial.state.is_finished() for trial in stored), [trial.state for trial in stored]
    study = find_study(database, study_name)
    outcomes = outcomes_by_trial(study)
    assert sorted(outcomes) == list(range(asked))
    assert all(outcome.final for outcome in outcomes.values())
    assert sum(standing(trial.state.name, outcomes[trial.number]).spends_budget for trial in stored) == trials
    told = {number for number, outcome in outcomes.items() if outcome is Outcome.ENDED_ELSEWHERE}
    check_owners(history, set(range(asked)) - told)
    for trial in stored:
        reached = sorted(trial.intermediate_values)
        assert reached == list(rungs[: len(reached)])  # none is missing in between
        assert len(read_rungs(study, trial.number)) == len(reached)
        if outcomes[trial.number] is Outcome.COMPLETE:
            assert reached == list(rungs)
        if outcomes[trial.number].refused:  # whatever happened to its owner, it was never trained
            assert reached == []
            assert read_telemetry(study, trial.number) == []
    healthy = [trial for trial in stored if outcomes[trial.number].healthy]
    assert not healthy or any(outcomes[trial.number] is Outcome.COMPLETE for trial in healthy)
    return accounted(history, reports_and_ends(stored, outcomes), killed)


def check_owners(history: list[dict], claimed: Collection[int]) -> None:
    """Each token had one owner, and only with it was anything written; those trials had one for sure."""
    owners: dict[tuple[int, int], set[int]] = {}
    for line in history:
        if line["event"] == HistoryEvent.CLAIM:  # one process may note a claim twice: its answer was lost
            owners.setdefault((line["trial"], line["token"]), set()).add(line["pid"])
    assert {trial for trial, _ in owners} >= set(claimed)
    assert all(len(pids) == 1 for pids in owners.values()), f"two owners with one token: {owners}"
    for line in history:
        if line["event"] in (HistoryEvent.REPORT, HistoryEvent.END):
            assert owners[line["trial"], line["token"]] == {line["pid"]}, line


def reports_and_ends(stored: list[FrozenTrial], outcomes: Mapping[int, Outcome]) -> set[Key]:
    """Everything that a worker writes of a trial exactly once."""
    reports = {(trial.number, str(step)) for trial in stored for step in trial.intermediate_values}
    ends = {(trial, outcome.value) for trial, outcome in outcomes.items() if outcome is not Outcome.ENDED_ELSEWHERE}
    return reports | ends


def accounted(history: list[dict], stored: set[Key], killed: Collection[int]) -> Tally:
    """Every entry of the database was noted once, or tried by a process that was killed; and nothing else was noted."""
    noted: Counter[Key] = Counter()
    tried: set[Key] = set()
    for line in history:
        key = (line["trial"], line["detail"])
        if line["event"] in (HistoryEvent.REPORT, HistoryEvent.END) and line["detail"] not in OPEN:
            noted[key] += 1
        if line["event"] == HistoryEvent.TRY and line["pid"] in killed:
            tried.add(key)
    assert max(noted.values(), default=0) <= 1, f"written twice: {noted}"
    assert set(noted) <= stored, f"noted, but not there: {set(noted) - stored}"
    unheard = stored - set(noted)
    assert unheard <= tried, f"there, but nobody wrote it: {unheard - tried}"
    return Tally(stored=len(stored), noted=len(noted), tried=len(unheard))
