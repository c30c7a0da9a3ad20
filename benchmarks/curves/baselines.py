"""Other searches on recorded curves, as their users run them: Optuna's default, Hyperband, Ray's ASHA, random.

Each trial is evaluated on all validation images wherever it was read, asks whether it is pruned, and trains on at once.
"""

import heapq
import itertools
from collections.abc import Callable, Mapping

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmarks.curves.curve import Curve, CurveReading
from benchmarks.curves.table import CurveTable
from benchmarks.curves.track import Track
from spaces.faster_rcnn import Space

NOMINAL = (52, 80, 107, 160, 240, 320, 480, 640)  # images, of the readings
RAY_FACTOR = 4


class RayASHA(optuna.pruners.BasePruner):
    """Ray Tune's AsyncHyperBandScheduler with one bracket: below the best quarter of those before it, a trial stops."""

    def __init__(self, rungs: tuple[int, ...]) -> None:
        self._rungs = rungs
        self._read: dict[int, list[float]] = {rung: [] for rung in rungs}

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        step = trial.last_step
        if step not in self._read:
            return False
        value, before = trial.intermediate_values[step], self._read[step]
        stops = bool(before and value < np.nanpercentile(before, 100 * (1 - 1 / RAY_FACTOR)))
        before.append(value)
        return stops


def optuna_default(seed: int) -> optuna.Study:
    """Optuna 5 without a word: TPE and the median pruner."""
    return _study(optuna.samplers.TPESampler(seed=seed), optuna.pruners.MedianPruner())


def hyperband(seed: int) -> optuna.Study:
    """TPE and Hyperband."""
    pruner = optuna.pruners.HyperbandPruner(min_resource=NOMINAL[0], max_resource=NOMINAL[-1], reduction_factor=3)
    return _study(optuna.samplers.TPESampler(seed=seed), pruner)


def ray_asha(seed: int) -> optuna.Study:
    """Random points and Ray's stopping rule."""
    return _study(optuna.samplers.RandomSampler(seed=seed), RayASHA((52, 160)))


def random(seed: int) -> optuna.Study:
    """Random points, each trained in full."""
    return _study(optuna.samplers.RandomSampler(seed=seed), optuna.pruners.NopPruner())


BASELINES: Mapping[str, Callable[[int], optuna.Study]] = {
    "Optuna 5's default": optuna_default,
    "TPE and Hyperband": hyperband,
    "Ray's ASHA": ray_asha,
    "random": random,
}


def _study(sampler: optuna.samplers.BaseSampler, pruner: optuna.pruners.BasePruner) -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)


class _Running:
    """A trial that trains, and its next reading."""

    def __init__(self, trial: optuna.Trial, number: int, curve: Curve) -> None:
        self.trial, self.number = trial, number
        self._left = list(zip(NOMINAL, curve.readings, strict=False))
        self.is_lost = len(curve.readings) < len(NOMINAL)  # a fault ends it

    def next(self) -> tuple[int, CurveReading] | None:
        return self._left.pop(0) if self._left else None


def searched(study: optuna.Study, space: Space, table: CurveTable, *, seed: int, workers: int, limit_s: float) -> Track:
    """What the search reads within so many seconds."""
    track, order, tried = Track(), itertools.count(), set[int]()
    due: list[tuple[float, int, _Running, int, CurveReading]] = []

    def begin(now_s: float) -> None:
        while (started := _begun(study, space, table, tried, seed)) is not None:
            reading = started.next()
            if reading is not None:
                took_s = reading[1].training_s + reading[1].evaluation_s
                heapq.heappush(due, (now_s + took_s, next(order), started, *reading))
                return
            _tell(study, started, TrialState.FAIL)  # it diverged before anything was read; that takes no time here

    for _ in range(workers):
        begin(0.0)
    while due:
        now_s, _, running, images, reading = heapq.heappop(due)
        if now_s > limit_s:
            break
        track.read(now_s, running.number, images, reading.metrics["ap"])
        running.trial.report(reading.metrics["ap"], images)
        following = None if running.trial.should_prune() else running.next()
        if following is not None:
            took_s = following[1].training_s + following[1].evaluation_s
            heapq.heappush(due, (now_s + took_s, next(order), running, *following))
            continue
        if images == NOMINAL[-1]:
            study.tell(running.trial, reading.metrics["ap"])
        else:
            _tell(study, running, TrialState.FAIL if running.is_lost and not running._left else TrialState.PRUNED)
        begin(now_s)
    return track


def _tell(study: optuna.Study, running: _Running, state: TrialState) -> None:
    study.tell(running.trial, state=state)


def _begun(study: optuna.Study, space: Space, table: CurveTable, tried: set[int], seed: int) -> _Running | None:
    """A new trial on the configuration that is nearest to what is proposed; None where all were tried."""
    wanted = study.ask()
    number = table.nearest(space.suggest(wanted), without=tried)
    study.tell(wanted, state=TrialState.FAIL)  # no sampler or pruner looks at those
    if number is None:
        return None
    tried.add(number)
    study.enqueue_trial(table.parameters(number))
    trial = study.ask()
    space.suggest(trial)
    return _Running(trial, number, table.curve(number, seed))
