"""This project's policy on the LCBench surrogate: budget saved against Optuna's default and Ray's ASHA.

    python -m benchmarks.policy_simulator FOLDER [--seeds 7] [--noise 0.1] [--workers 8] [--crossing]

FOLDER holds the simulator with its baselines (check.py, sim.py, lcb.py; YAHPO Gym's LCBench in data/). It plays 25 full
trainings on ten tasks, and scores at each moment the configuration that would be exported. What proposes and promotes
here is the product's own: `search.policy.model.choice` and `search.policy.promotion`. Needs onnxruntime.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from search.policy.model.choice import Evidence, chosen, smoothed
from search.policy.model.cube import Cube, Side
from search.policy.model.fitting import Fits
from search.policy.promotion import promoted
from spaces.parameters import Float

RUNGS = (4, 13, 52)  # 8 %, 25 % and 100 % of a training
FACTOR = 4
STARTUP_TRIALS = 5
COORDINATES = 7
MIDDLE = np.full(COORDINATES, 0.5)


class Ours:
    """The policy as the simulator plays it: `ask`, `ended`, `export`; trials have `u`, `epoch` and `seen`."""

    export_rungs = RUNGS

    def __init__(self, seed: int, lcb: Any) -> None:
        self._generator = np.random.default_rng(500 + seed)
        self._lcb = lcb
        self._running: set[int] = set()
        self._fits = Fits()
        unit = Float(low=0.0, high=1.0)
        self._cube = Cube(
            [Side(name=str(n), parameter=unit, needs=None, values=(), is_text=False) for n in range(COORDINATES)], {}
        )
        self.se: Callable[[float], float] = lambda epoch: 0.0  # the simulator puts its own here

    def ask(self, trials: list[Any], remaining: float) -> tuple[Any, int]:
        """A paused trial or a new point, and the epoch to train it to."""
        values = {trial.number: self._values(trial) for trial in trials if self._values(trial)}
        waiting = [number for number in values if number not in self._running and trials[number].epoch < RUNGS[-1]]
        if (number := promoted(values, waiting, RUNGS, factor=FACTOR)) is not None:
            self._running.add(number)
            return trials[number], next(rung for rung in RUNGS if rung > trials[number].epoch)
        self._running.add(len(trials))
        shares = MIDDLE if not trials else self._proposed([trial for trial in trials if self._values(trial)], trials)
        return self._lcb.from_unit(shares)[0], RUNGS[0]

    def _proposed(self, read: list[Any], trials: list[Any]) -> Any:
        if len(read) < STARTUP_TRIALS:
            return self._generator.random(COORDINATES)
        return chosen(self._cube, self._evidence(read, trials), self._generator, self._fits)

    def _evidence(self, read: list[Any], trials: list[Any]) -> Evidence:
        table = np.array([[self._values(trial).get(rung, np.nan) for rung in RUNGS] for trial in read])
        errors = np.where(np.isnan(table), np.nan, np.array([self.se(rung) for rung in RUNGS]))
        pending = [trial.u for trial in trials if not self._values(trial) and trial.number in self._running]
        return Evidence(
            read=np.array([trial.u for trial in read]),
            readings=table,
            errors=errors,
            failed=np.zeros((0, COORDINATES)),
            pending=np.array(pending).reshape(-1, COORDINATES),
        )

    def export(self, trials: list[Any]) -> Any:
        """What would be exported: of those at the highest rung the best by what the model makes of their readings."""
        read = [trial for trial in trials if self._values(trial)]
        if not read:
            return max(trials, key=lambda trial: trial.epoch)
        highest = max(max(self._values(trial)) for trial in read)
        there = [place for place, trial in enumerate(read) if highest in self._values(trial)]
        if len(read) < STARTUP_TRIALS or self.se(highest) == 0:
            return max((read[place] for place in there), key=lambda trial: self._values(trial)[highest])
        worth = smoothed(self._cube, self._evidence(read, trials), self._fits)
        return read[max(there, key=lambda place: worth[place])]

    def export2(self, trials: list[Any]) -> Any:
        """The same."""
        return self.export(trials)

    def told(self, trial: Any, epoch: int, value: float) -> bool:
        """Whether the trial stops: it goes to its rung."""
        return False

    def ended(self, trial: Any, stopped: bool) -> None:
        """It has reached its rung."""
        self._running.discard(trial.number)

    def began(self, trial: Any) -> None:
        """A new trial begins."""

    @staticmethod
    def _values(trial: Any) -> dict[int, float]:
        return {rung: trial.seen[rung - 1] for rung in RUNGS if trial.epoch >= rung}


def ours(seed: int, task: str) -> Ours:
    """What the simulator's run.py calls."""
    import lcb  # type: ignore[import-not-found]  # the simulator's, in its folder

    return Ours(seed, lcb)


def main(arguments: list[str]) -> int:
    """Play what is missing and print the table."""
    folder, *options = arguments
    here = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "check.py", "benchmarks.policy_simulator:ours", "--measure", "export", *options]
    variables = {**os.environ, "PYTHONPATH": here, "FRCNN_SEARCH": here, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
