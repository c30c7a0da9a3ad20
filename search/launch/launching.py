"""Creates or resumes a study on this machine and runs it to its end."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from rich.console import Console

from detector.config import Anchors, ConfigError
from search.engines.handle import Engine, Job
from search.engines.local_executor import LocalEngine
from search.exit_codes import ExitCode
from search.launch.compatibility import agree
from search.launch.progress import Progress, Snapshot, read_snapshot
from search.launch.worker_pool import Crew, Departure
from search.plan import sources_of
from search.policy.anchor_screen import AnchorScreen, varies_anchors
from search.report.ranking import ranking, ranking_table
from search.signals import stop_signals
from search.study.specification import Specification, resolved
from search.worker.fingerprint import Identity, code_version, keep_identity, pair_fingerprint
from search.worker.local_paths import Places
from spaces.anchor_fit import share_fitted
from storage.box_samples import keep_box_sample
from storage.connection.database import Database
from storage.connection.errors import StorageUnavailable
from storage.study import create_or_load_study

if TYPE_CHECKING:
    from detector.data.dataset import Dataset

TICK_S = 1.0


def launch(
    specification: Specification,
    *,
    folder: Path,
    console: Console | None = None,
    options: tuple[str, ...] = (),
    engine: Engine | None = None,
) -> int:
    """Run the study until it has its trials, or until a signal: the first stops cleanly, the second at once.

    Checkpoints, caches and logs go below `folder`. Returns 0 when the study is complete, 75 when it was stopped or
    the database went away (the same call goes on), 1 after a bug. `options` go to the worker processes, which the
    engine starts: on this machine by default.

    Raises:
        ConfigError: the data or the engine cannot be used, or the study was begun with another specification.
        StorageError, StorageUnavailable: the database cannot be used, or not now.
    """
    console = console or Console()
    with _created(specification, console) as (specification, database):
        if _snapshot(database, specification).finished >= specification.budget.trials:
            departure = Departure(code=ExitCode.DONE, messages=())
        else:
            job = Job(study=specification.name, storage=specification.storage, folder=folder, options=options)
            departure = _run(database, specification, job, engine or LocalEngine(), console)
        return _close(database, specification, departure, console, folder)


def only_create(specification: Specification, *, console: Console | None = None) -> int:
    """Create the study, or see that it agrees with what is there, for workers that somebody else starts. Returns 0.

    Raises:
        ConfigError, StorageError, StorageUnavailable: as `launch`.
    """
    console = console or Console()
    with _created(specification, console):
        kind = "env:NAME" if specification.storage.startswith("postgresql") else specification.storage
        console.print(
            f'workers join it with: frcnn-search worker --storage {kind} --study "{specification.name}"',
            highlight=False,
            soft_wrap=True,
        )
    return ExitCode.DONE


@contextmanager
def _created(specification: Specification, console: Console) -> Iterator[tuple[Specification, Database]]:
    """The study in its database, with its settled specification, which agrees with what was there before."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would write between our lines
    kept = ("derived",) if specification.derived is None else ()
    settled = settle(specification, console)
    specification = settled.specification
    with Database.open(specification.storage) as database:
        create_or_load_study(database, specification.name)
        agree(database, specification, kept=kept)
        keep_identity(database, specification.name, Identity(code=code_version(), data=settled.data))
        if settled.screen is not None:
            keep_box_sample(database, specification.name, settled.screen.to_json())
        opening = _opening(_snapshot(database, specification), database, specification)
        console.print(opening, highlight=False, soft_wrap=True)
        yield specification, database


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A specification with what depends on the data worked out, and what is kept with the study beside it."""

    specification: Specification
    data: str  # fingerprint (search/worker/fingerprint.py); empty where no data is read
    screen: AnchorScreen | None = None  # None where there are no anchors to choose


def settle(specification: Specification, console: Console) -> Settled:
    """The specification with what depends on the data worked out.

    Every file is checked before any trial starts.

    Raises:
        ConfigError: the data cannot be used.
    """
    if specification.trainer != "detector":  # no data is read
        return Settled(specification=specification, data="")
    from detector.data.pair import load_pair

    train, validation = sources_of(Places.here().find(specification.data))
    share, seed = specification.data.validation_share, specification.sampler.seed
    training_set, validation_set = load_pair(train, validation, share=share, seed=seed)
    held_out = "" if validation else f", held out of the training data ({share:.0%}, by file name)"
    console.print(
        f"{len(training_set.images)} training images, {len(validation_set.images)} for validation{held_out}",
        highlight=False,
        soft_wrap=True,
    )
    for name, dataset in (("training", training_set), ("validation", validation_set)):
        if dataset.dropped:
            first = dataset.dropped[0]
            console.print(
                f"{len(dataset.dropped)} {name} boxes dropped, the first: {first.file}: {first.reason}",
                highlight=False,
                soft_wrap=True,
            )
    sizes_px = [(image.height_px, image.width_px) for image in training_set.images]
    settled = resolved(specification, training_images=len(training_set.images), sizes_px=sizes_px)
    fingerprint = pair_fingerprint(training_set.fingerprint, validation_set.fingerprint)
    return _with_derived(settled, training_set, fingerprint, console)


def _with_derived(specification: Specification, training_set: "Dataset", data: str, console: Console) -> Settled:
    """With anchors derived from the boxes and a rate that random weights bear: for trial 1, unless the user decided.

    Proposals are screened by these anchors, too.
    """
    from search.policy.derived_point import canvas_boxes, derived_anchors, derived_rate

    canvas, seed = specification.detector.canvas, specification.sampler.seed
    settled = Settled(specification=specification, data=data)
    if specification.budget.trials < 2 or canvas is None or not varies_anchors(specification.space):
        return settled
    boxes = canvas_boxes(training_set, canvas)
    derived = derived_anchors(boxes, specification.space, seed=seed)
    if derived is None:
        return settled
    settled = replace(settled, screen=AnchorScreen.of(boxes, derived.anchors, seed=seed))
    if specification.derived is not None:
        return settled
    rate = derived_rate(specification.space, from_scratch=specification.detector.weights == "none")
    shares = [share_fitted(boxes.boxes, anchors, canvas) for anchors in (derived.anchors, Anchors())]
    console.print(
        f"trial 1 tries anchors derived from the boxes: {derived.anchors.per_cell} a cell, of which one overlaps "
        f"{shares[0]:.0%} of the boxes by half or more (Detectron2's {Anchors().per_cell}: {shares[1]:.0%})"
        + "".join(f", and {name} {value:g}, because its weights begin at random" for name, value in rate.items()),
        highlight=False,
        soft_wrap=True,
    )
    return replace(settled, specification=replace(specification, derived=derived.values | rate))


def _run(database: Database, specification: Specification, job: Job, engine: Engine, console: Console) -> Departure:
    def say(message: str) -> None:
        console.print(message, highlight=False, soft_wrap=True, markup=False)

    with engine.seats(job, specification.workers, say) as start:
        crew = Crew(start, workers=specification.workers, say=say)
        with stop_signals(at_once=crew.hurry) as stop, Progress(console, rungs=specification.rungs).shown() as progress:
            _watch(database, specification, crew, stop, progress)
            if stop.is_set():
                say("stopping: trials are checkpointed; once more ends at once")
            crew.stop()
            departure = crew.leave(complete=lambda: _complete(database, specification))
            _update(progress, database, specification)
    return departure


def _watch(
    database: Database, specification: Specification, crew: Crew, stop: threading.Event, progress: Progress
) -> None:
    while crew.tend() and not stop.is_set():
        _update(progress, database, specification)
        stop.wait(TICK_S)


def _update(progress: Progress, database: Database, specification: Specification) -> None:
    with contextlib.suppress(StorageUnavailable):  # the workers know what to do then
        progress.update(_snapshot(database, specification, since=progress.since))


def _snapshot(database: Database, specification: Specification, since: datetime | None = None) -> Snapshot:
    return read_snapshot(database, specification.name, trials=specification.budget.trials, since=since)


def _complete(database: Database, specification: Specification) -> bool:
    try:
        return _snapshot(database, specification).finished >= specification.budget.trials
    except StorageUnavailable:
        return False


def _opening(snapshot: Snapshot, database: Database, specification: Specification) -> str:
    begun = f"goes on with {snapshot.finished} of" if snapshot.outcomes or snapshot.finished else "begins:"
    rungs = ", ".join(map(str, specification.rungs))
    return (
        f"study {specification.name} in {database.label} {begun} {specification.budget.trials} trials; "
        f"rungs at {rungs} images"
    )


def _close(
    database: Database, specification: Specification, departure: Departure, console: Console, folder: Path
) -> int:
    if departure.code == ExitCode.USER_MUST_ACT:
        raise ConfigError("\n".join(departure.messages))
    for message in departure.messages:
        console.print(message, highlight=False, soft_wrap=True, markup=False)
    if departure.code == ExitCode.DONE:
        console.print(ranking_table(ranking(database, specification.name)))
        return ExitCode.DONE
    finished = _snapshot(database, specification).finished
    state = f"{finished} of {specification.budget.trials} trials are finished"
    if departure.code == ExitCode.TRY_LATER:
        console.print(f"stopped; {state}. The same command goes on", highlight=False, soft_wrap=True)
    else:
        console.print(
            f"the workers failed; {state}. Their logs are in {folder / 'logs'}", highlight=False, soft_wrap=True
        )
    return departure.code
