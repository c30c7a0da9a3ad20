"""Trials that wait at a rung: which of them this worker may let go on, and what their checkpoints may take."""

import shutil
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from optuna.trial import FrozenTrial

from search.plan import Plan
from search.policy.course import Course
from search.policy.promotion import Values, last_rung, surplus
from search.policy.readings import values_of
from search.policy.schedule import Move, Schedule
from search.policy.settlement import read_settlement
from storage.outcomes import images_of_faults, read_outcome
from storage.standings import paused
from storage.study import StoredStudy
from storage.study_view import StudyView
from storage.workers import read_workers
from trial.outcome import Outcome
from trial.verdict import Verdict

MOST_WAITING = 32  # at each rung: so many are never promoted before others come that are better
ALIVE_S = 60.0  # since a worker's last sign
HOST = "host"  # in the evidence of a pause: where the checkpoint lies


class PausedTrials:
    """What one worker may do with the trials of a study that wait."""

    def __init__(self, study: StoredStudy, plan: Plan, view: StudyView) -> None:
        self._study = study
        self._plan = plan
        self._view = view
        self._schedule = Schedule.of(plan.specification)
        self._pauses = plan.specification.pruner.pauses
        self._over: dict[int, dict[int, float]] = {}  # values of trials that have ended

    def course(self, outcomes: Mapping[int, Outcome]) -> Course:
        """How far the study is. In a turn nobody else claims or begins a trial meanwhile."""
        waiting = paused(self._study) if self._pauses else ()
        faults = images_of_faults(self._study) if self._schedule.images is not None else {}
        trials = self._view.refresh()
        settled = self._plan.specification.budget.until_settled and read_settlement(self._study) is not None
        return Course.of(trials, outcomes, waiting, self._values(trials), fault_images=faults, settled=settled)

    def move(self, course: Course) -> Move:
        """What this worker does next. A trial whose checkpoint lies on another living machine is left to that one."""
        move = self._schedule.move(course)
        if move.trial is None or self._is_here(move.trial):
            return move
        others = self._left_to_others(course.waiting)
        waiting = tuple(trial for trial in course.waiting if trial not in others)
        return self._schedule.move(replace(course, running=(*course.running, *others), waiting=waiting))

    def _values(self, trials: Sequence[FrozenTrial]) -> Values:
        """Of all trials that were read; those that are over are looked at once."""
        fresh: dict[int, dict[int, float]] = {}
        for trial in trials:
            if trial.number not in self._over and trial.intermediate_values:
                known = self._over if trial.state.is_finished() else fresh
                known[trial.number] = values_of(trial)
        return self._over | fresh

    def surplus(self, course: Course) -> list[int]:
        """Trials that wait where enough better ones do."""
        return surplus(course.values, course.waiting, self._schedule.rungs, most=MOST_WAITING)

    def farewell(self, trial: int) -> Verdict:
        """How a trial ends that is never promoted."""
        paused_as = read_outcome(self._study, trial)
        read = self._view.stored_trial(trial).intermediate_values
        rung, ap = max(read.items())
        return Verdict(
            outcome=Outcome.OUTRANKED,
            cause="rung",
            message=f"AP {ap:.4f} at {rung} images; others were promoted",
            step=paused_as.step if paused_as else 0,
            images=paused_as.images if paused_as else rung,
            evidence={"ap": ap},
        ).after(paused_as)

    def tidy(self, directories: Mapping[int, Path]) -> None:
        """Remove the least promising checkpoints beyond the bound; a promoted trial without one is trained anew."""
        left_bytes = self._plan.specification.pruner.checkpoints_gb * 1e9
        waiting = paused(self._study) if self._pauses else ()
        values = {trial.number: values_of(trial) for trial in self._view.trials}
        for trial in _most_promising_first([one for one in waiting if one in directories], values):
            left_bytes -= _size_bytes(directories[trial])
            if left_bytes < 0:
                shutil.rmtree(directories[trial], ignore_errors=True)

    def _is_here(self, trial: int) -> bool:
        return self._plan.trial_directory(trial).exists()

    def _left_to_others(self, waiting: Iterable[int]) -> set[int]:
        """Those of the waiting whose checkpoints lie on other machines with a worker that lives."""
        living = {worker.host for worker in read_workers(self._study) if worker.age_s < ALIVE_S}
        away = [trial for trial in waiting if not self._is_here(trial)]
        hosts = {trial: _host(read_outcome(self._study, trial)) for trial in away}
        return {trial for trial, host in hosts.items() if host in living - {socket.gethostname()}}


def _host(paused_as: Verdict | None) -> str:
    return str(paused_as.evidence.get(HOST, "")) if paused_as else ""


def _most_promising_first(trials: Sequence[int], values: Mapping[int, Mapping[int, float]]) -> list[int]:
    def place(trial: int) -> tuple[int, float]:
        rung = last_rung(values[trial])
        return -rung, -values[trial].get(rung, 0.0)

    return sorted(trials, key=place)


def _size_bytes(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
