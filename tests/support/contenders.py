"""What the processes of a race do; a module of its own, so that a fresh process can import it."""

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from typing import Any

import optuna

from storage.connection.database import Database
from storage.connection.errors import LeaseHeld
from storage.leases import Leases
from storage.study import find_study, study_names
from tests.support.fork_server import fork_server
from tests.support.studies import create_optuna_study, load_optuna_study

PROCESSES = 8
_LINE: list[Barrier] = []  # of this process; a barrier can be inherited but not sent


def race(contend: Callable[..., Any], url: str, *arguments: Any) -> list[Any]:
    """What each of the processes returned; they start together, once all of them are ready."""
    context = fork_server()
    barrier = context.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=_line_up, initargs=(barrier,)) as pool:
        futures: list[Future[Any]] = [pool.submit(contend, url, *arguments) for _ in range(PROCESSES)]
        return [future.result() for future in futures]


def _line_up(barrier: Barrier) -> None:
    """Tell a new process of the race which barrier to wait at."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    _LINE.append(barrier)


def _wait_for_all() -> None:
    _LINE[0].wait(timeout=120)


def open_and_name(url: str) -> list[str]:
    if _LINE:
        _wait_for_all()
    with Database.open(url) as database:
        create_optuna_study(database, "cells")
        return study_names(database)


def ask_until_dry(url: str) -> list[int]:
    """The queued trials that this process got, by the number that was queued with them."""
    with Database.open(url) as database:
        study = load_optuna_study(database, "cells", sampler=optuna.samplers.RandomSampler())
        _wait_for_all()
        got = []
        while True:
            trial = study.ask()
            queued = trial.user_attrs.get("queued")
            if queued is None:
                return got
            got.append(queued)


def claim_each(url: str, trials: int) -> dict[int, int]:
    """The trials that this process could claim, each with its token; all processes go for the same one at a time."""
    with Database.open(url) as database:
        leases = Leases(find_study(database, "cells"))
        won = {}
        for trial in range(trials):
            _wait_for_all()
            with contextlib.suppress(LeaseHeld):
                won[trial] = leases.claim(trial, f"process {os.getpid()}").token
        return won


def ask_in_turn(url: str, limit: int) -> int:
    """How many trials this process asked for, when all of them together may have `limit`."""
    with Database.open(url) as database:
        study = load_optuna_study(database, "cells", sampler=optuna.samplers.RandomSampler())
        leases = Leases(find_study(database, "cells"))
        _wait_for_all()
        asked = 0
        while True:
            with leases.turn(f"process {os.getpid()}"):
                if len(study.get_trials(deepcopy=False)) >= limit:
                    return asked
                study.ask()
                asked += 1
