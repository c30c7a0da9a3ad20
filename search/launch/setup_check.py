"""A trainer is set up before a study exists: weights are opened or fetched, the device and its memory are tried."""

import math
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

from detector.config import ConfigError, NamedWeights
from search.display.foot import Foot
from search.display.stage_line import StageLine
from search.plan import Plan, logs_folder
from search.policy.samplers import training_seed
from search.signals import stop_signals
from search.study.specification import Specification
from search.terminal import PlainConsole
from search.trainer.exits import Position, SetupFailed, TrainerLost, classify
from search.trainer.link import TrainerLink
from search.trainer.protocol import Advance, Preparing, Start, Started
from search.trainer.run import Told
from search.trainer.warm import POLL_S, SETUP_IDLE_LIMIT_S, WarmTrainer
from search.worker.local_paths import LocalPaths
from trial.outcome import Outcome
from trial.reports import RungReport
from trial.verdict import Verdict

LOG = "trainer-check.log"


def require_setup(
    specification: Specification, console: PlainConsole, *, folder: Path, on_this_machine: bool
) -> float | None:
    """Set a trainer up as the workers will, and let it go again; what it measured is kept for them.

    Returns the AP of the reference's detector before any training; None where the workers run elsewhere: there only the
    weights are read.

    Raises:
        ConfigError, SetupFailed: no trainer could be had.
        DiskFull: there is no room for its cache.
        KeyboardInterrupt: it was stopped.
    """
    from_scratch = specification.detector.weights == NamedWeights.NONE
    if specification.trainer != "detector" or (from_scratch and not on_this_machine):
        return None
    paths = LocalPaths.here()
    here = replace(specification, data=paths.find(specification.data))
    plan = Plan.of(here, folder, cache=paths.cache)
    setup = replace(plan.setup, measure_micro_batch=plan.setup.measure_micro_batch and on_this_machine)
    foot = Foot(console)
    line = StageLine(foot, "trying the settings")
    trainer = WarmTrainer(specification.trainer, setup, log=logs_folder(folder) / LOG, told=line.show)
    with foot.shown(), stop_signals(at_once=trainer.abandon) as stop:
        try:
            link = trainer.ready(stop)
            if link is None:
                raise KeyboardInterrupt
            return _untrained_ap(link, plan, stop, line.show) if on_this_machine else None
        except TrainerLost as death:
            raise _refusal(SetupFailed(classify(death, Position())), folder) from death
        except SetupFailed as failure:
            raise _refusal(failure, folder) from failure
        finally:
            trainer.close()


def _untrained_ap(link: TrainerLink, plan: Plan, stop: threading.Event, told: Told) -> float | None:
    """What trial 0 has before its first step."""
    with tempfile.TemporaryDirectory(dir=logs_folder(plan.folder)) as directory:
        start = Start(
            trial=0,
            hyperparameters=plan.specification.hyperparameters(0, plan.first_points[0]),
            seed=training_seed(plan.specification.sampler.seed, 0),
            budget_images=plan.rungs[-1],
            directory=Path(directory),
        )
        for command in (start, Advance(to_images=0)):
            link.send(command)
            while not isinstance(event := link.poll(POLL_S), Started | RungReport | Verdict):
                if stop.is_set():
                    raise KeyboardInterrupt
                if link.idle_s > SETUP_IDLE_LIMIT_S:
                    raise link.hung()
                if isinstance(event, Preparing):
                    told(event)
        return event.ap if isinstance(event, RungReport) and math.isfinite(event.ap) else None


def _refusal(failure: SetupFailed, folder: Path) -> ConfigError | SetupFailed:
    verdict = failure.verdict
    match verdict.outcome:
        case Outcome.BAD_DATA:
            return ConfigError(f"{verdict.message}\nNo study was begun")
        case Outcome.OUT_OF_MEMORY:
            return ConfigError(
                f"a trainer must fit into the memory of this machine, but: {verdict.message}\nNo study was begun; "
                "use a smaller detector.canvas, or detector.precision bfloat16, or stop what else needs memory"
            )
        case _:
            said = f"{verdict.message}; its log: {logs_folder(folder) / LOG}. No study was begun"
            return SetupFailed(replace(verdict, message=said))
