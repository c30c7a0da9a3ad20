"""Studies under fire, and what every process's own notes say of them afterwards."""

import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.exit_codes import ExitCode
from search.faults import history
from search.faults.history import HistoryEvent
from search.study.policy_section import PrunerName
from storage.connection.database import Database
from storage.study import delete_study
from tests.support.chaos import faults
from tests.support.chaos.faults import Scene
from tests.support.chaos.place import KINDS, new_place, own_server
from tests.support.chaos.workers import STUCK_S, Launched, Started
from tests.support.history_checker import Tally, check_history, read_history
from tests.support.studies import load_optuna_study
from tests.support.workforce import found

FAULTS_PER_STUDY = 10
TRIALS = 12
LAUNCHED = 1 / 4  # of the studies have the workers of a `launch`
HALVING = 1 / 3  # of the studies stop trials at their rungs, the others pause them
DELETED = 1 / 10  # of the studies are deleted in the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """What a study went through, and what was found afterwards."""

    struck: Counter[str]
    tally: Tally
    dropped: int  # trials that a worker gave up because another had them
    outages: int  # that workers noticed


def strike_one(kind: str, folder: Path, socket: Path, server: Any, seed: int, most: int) -> Survival:
    """One new study under at most so many faults, which lost, doubled and stuck nothing.

    Raises:
        AssertionError: it did; or a worker ended with an error.
    """
    drawn = random.Random(seed)
    records = folder / "history"
    records.mkdir(parents=True)
    os.environ |= {history.VARIABLE: str(records), "FRCNN_ANALYTIC_STEP_S": "0.02"}
    with new_place(kind, folder, socket, server) as place:
        pruner = PrunerName.HALVING if drawn.random() < HALVING else PrunerName.PROMOTION
        specification = found(place.url, folder, trials=TRIALS, risk=0.6, pruner=pruner)
        launched = drawn.random() < LAUNCHED
        workers = Launched(specification, folder) if launched else Started(place.url, folder)
        scene = Scene(place=place, folder=folder, workers=workers, random=drawn)
        struck = Counter({"schema upgraded": faults.schema_upgraded(scene)})
        under_fire(scene, struck, most)
        if drawn.random() < DELETED and not workers.complete():
            deleted(scene)
            struck["study deleted"] += 1
            return Survival(struck=struck, tally=Tally(stored=0, noted=0, tried=0), dropped=0, outages=0)
        to_the_end(scene)
        lines = read_history(records)
        with Database.open(place.direct) as database:
            tally = check_history(
                database, "analytic", lines, trials=TRIALS, rungs=specification.rungs, killed=workers.killed
            )
    counts = Counter(line["event"] for line in lines)
    return Survival(struck=struck, tally=tally, dropped=counts[HistoryEvent.DROP], outages=counts[HistoryEvent.OUTAGE])


def under_fire(scene: Scene, struck: Counter[str], most: int) -> None:
    """Strike so many times, or until the study is complete."""
    arsenal = [*faults.EVERYWHERE, *(faults.WITH_A_SERVER if scene.place.proxy else ())]
    while struck.total() < most and not scene.workers.complete():
        scene.workers.refill()
        time.sleep(scene.random.uniform(0.3, 1.5))
        name = scene.random.choice(arsenal)
        struck[name] += faults.strike(name, scene)


def to_the_end(scene: Scene) -> None:
    """Let the study end."""
    deadline = time.monotonic() + STUCK_S
    while not scene.workers.complete():
        assert time.monotonic() < deadline, f"stuck: the study is not complete {STUCK_S:g} s after the last fault"
        scene.workers.refill()
        time.sleep(0.2)
    scene.workers.end(ExitCode.DONE)
    for busy in scene.busy:
        busy.wait()


def deleted(scene: Scene) -> None:
    """Delete the study under its workers: all of them say so and leave."""
    scene.workers.refill()
    with Database.open(scene.place.direct) as database:
        trials = load_optuna_study(database, "analytic").get_trials(deepcopy=False)
        delete_study(database, "analytic")
    nearly_done = len(trials) >= TRIALS  # every trial was asked for: the last may have ended before the study was gone
    scene.workers.end(ExitCode.USER_MUST_ACT, ExitCode.DONE if nearly_done else ExitCode.USER_MUST_ACT)
    for busy in scene.busy:
        busy.wait()


def strike(wanted: int, seed: int) -> list[Survival]:
    """Studies under fire, each with the next seed, on the two databases in turn, until so many faults have happened.

    What a study left is kept where it did not survive, and the error names the folder.
    """
    survivals: list[Survival] = []
    with own_server() as (socket, server):
        while (left := wanted - sum(s.struck.total() for s in survivals)) > 0:
            kind = KINDS[seed % 2]
            folder = Path(tempfile.mkdtemp(prefix=f"frcnn-chaos-{seed}-"))
            try:
                one = strike_one(kind, folder, socket, server, seed, min(left, FAULTS_PER_STUDY))
            except BaseException as error:
                error.add_note(f"seed {seed}, {kind}; what it left: {folder}")
                raise
            shutil.rmtree(folder)
            survivals.append(one)
            sys.stdout.write(f"seed {seed} {kind}: {dict(one.struck)}; {one.tally}\n")
            sys.stdout.flush()
            seed += 1
    return survivals
