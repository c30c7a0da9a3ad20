"""What a proposal by the model costs in a study of so many trials.

    python -m benchmarks.model_ask [--size 20 --size 10000] [--asks 40]

Trials are of the default space with closed-form readings and errors; one in eight could not work, one in four of the
others went on. After each ask the trial is told, so that the study grows as a real one does. The worker is one that
knows the study; what it takes to read trials from a database is not in it (`benchmarks.study_growth`).
"""

import os
from copy import deepcopy
from typing import Annotated

import numpy as np
import optuna
import typer
from numpy.random import Generator
from optuna.trial import FrozenTrial, TrialState

from benchmarks.parts.bare_worker import Took, timed
from benchmarks.parts.table import Cell, Table, drawing, wide_console
from search.policy.model.cube import Cube
from search.policy.model.history import History
from search.policy.model.sampler import ModelSampler
from search.policy.proposal import propose
from search.policy.readings import attribute
from spaces.faster_rcnn import Space
from trial.reading import Reading

RUNGS = (160, 480, 1440)
SIZES = (20, 100, 300, 1_000, 10_000)
FAILS, GOES_ON = 0.12, 0.25  # shares of trials
ERROR = 0.01  # of each reading
STARTUP_TRIALS = 5
BESIDE = 7  # trials that others train meanwhile


class Told(optuna.Study):
    """A study whose trials are a list, as a worker's view of the database is one."""

    def __init__(self) -> None:
        plain = optuna.create_study(direction="maximize")
        super().__init__(plain.study_name, plain._storage)
        self.told: list[FrozenTrial] = []

    def get_trials(self, deepcopy: bool = True, states: object = None) -> list[FrozenTrial]:
        """The list itself."""
        return self.told


def told(cube: Cube, trial: FrozenTrial, generator: Generator) -> FrozenTrial:
    """The trial as it ended: it is better the nearer it lies to the middle of the space."""
    trial = deepcopy(trial)
    final = 0.5 - 0.2 * float(((cube.shares(trial.params) - 0.5) ** 2).sum())
    trial.state, trial.datetime_complete = TrialState.PRUNED, trial.datetime_start
    if generator.random() < FAILS:
        trial.system_attrs["constraints:diverged"] = 1.0
        return trial
    rungs = RUNGS if generator.random() < GOES_ON else RUNGS[:1]
    for passed, rung in enumerate(rungs, start=1):
        value = final * passed / len(RUNGS) + ERROR * generator.standard_normal()
        trial.intermediate_values[rung] = value
        trial.system_attrs.update(attribute(rung, Reading(value=value, error=ERROR)))
    return trial


class Asking:
    """One of eight workers of a study, which begins with random trials."""

    def __init__(self, size: int) -> None:
        self._space = Space.default()
        self._cube = Cube.of(self._space)
        self._history = History(self._cube, RUNGS)
        self._generator = np.random.default_rng(size)
        self._study = Told()
        blind = optuna.samplers.RandomSampler(seed=0)
        for _ in range(size + BESIDE):
            self._study.told.append(self._proposed(blind))
        for trial in self._study.told[:size]:
            self._tell(trial)

    def ask(self) -> Took:
        """What the next proposal takes; the trial is told afterwards."""
        number = len(self._study.told)
        sampler = ModelSampler(self._cube, self._history, seed=number, startup_trials=STARTUP_TRIALS)
        proposal, took = timed(lambda: self._proposed(sampler))
        self._study.told.append(proposal)
        self._tell(self._study.told[number - BESIDE])
        return took

    def _proposed(self, sampler: optuna.samplers.BaseSampler) -> FrozenTrial:
        return propose(self._space, self._study, sampler, number=len(self._study.told), fixed={})

    def _tell(self, trial: FrozenTrial) -> None:
        self._study.told[trial.number] = told(self._cube, trial, self._generator)


def quantiles(size: int, asks: int) -> tuple[Cell, ...]:
    """A row: the size, then medians and 95th percentiles in milliseconds, of the wall's clock and the processor's."""
    asking = Asking(size)
    first = asking.ask()  # by a worker that knows nothing yet
    took = [asking.ask() for _ in range(asks)]
    parts = ([one.wall_s for one in took], [one.cpu_s for one in took])
    return (
        size,
        *(float(1e3 * value) for part in parts for value in np.quantile(part, (0.5, 0.95))),
        1e3 * first.cpu_s,
    )


def main(
    size: Annotated[list[int] | None, typer.Option(help="trials; give it again for more")] = None,
    asks: Annotated[int, typer.Option(min=20, help="proposals timed at each size")] = 40,
) -> None:
    """Ask, and show how long it took."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    table = Table(
        caption=f"Milliseconds for a proposal by the model; load of the machine: {os.getloadavg()[0]:.1f}",
        columns=("trials", "p50", "p95", "p50 (CPU)", "p95 (CPU)", "a worker's first (CPU)"),
        rows=tuple(quantiles(one, asks) for one in size or SIZES),
    )
    wide_console().print(drawing(table))


if __name__ == "__main__":
    typer.run(main)
