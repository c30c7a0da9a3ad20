"""Creates or resumes a study on this machine and runs it to its end."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

from detector.config import Anchors, ConfigError
from search.engines.handle import Executor, Job
from search.engines.local_executor import LocalExecutor
from search.exit_codes import ExitCode
from search.launch.compatibility import agree
from search.launch.progress import Progress, Snapshot, read_snapshot
from search.launch.trouble import Trouble
from search.launch.worker_pool import PoolExit, WorkerPool
from search.policy.anchor_screen import AnchorScreen, varies_anchors
from search.report.ranking import ranking, ranking_table
from search.signals import stop_signals
from search.study.specification import Specification, resolved
from search.terminal import PlainConsole
from search.worker.fingerprint import Identity, code_version, keep_identity, pair_fingerprint
from search.worker.local_paths import LocalPaths
from spaces.anchor_fit import share_fitted
from storage.box_samples import keep_box_sample
from storage.connection.database import Database
from storage.connection.errors import StorageUnavailable
from storage.study import StoredStudy, create_study

if TYPE_CHECKING:
    from detector.data.dataset import Dataset

TICK_S = 1.0


def launch(
    specification: Specification,
    *,
    folder: Path,
    console: PlainConsole | None = None,
    options: tuple[str, ...] = (),
    executor: Executor | None = None,
) -> ExitCode:
    """Run the study until it has its trials, or until a signal: the first stops cleanly, the second at once.

    Checkpoints, caches and logs go below `folder`. Returns 0 when the study is complete, 75 when it was stopped or
    the database went away (the same call goes on), 1 after a bug. `options` go to the worker processes, which the
    executor starts: on this machine by default.

    Raises:
        ConfigError: the data or the executor cannot be used, or the study was begun with another specification.
        StorageError, StorageUnavailable: the database cannot be used, or not now.
    """
    console = console or PlainConsole()
    with _created(specification, console) as (specification, study):
        if _snapshot(study, specification).finished >= specification.budget.trials:
            ended = PoolExit(code=ExitCode.DONE, messages=())
        else:
            job = Job(study=specification.name, storage=specification.storage, folder=folder, options=options)
            ended = _run(study, specification, job, executor or LocalExecutor(), console)
        return _close(study, specification, ended, console, folder)


def only_create(specification: Specification, *, console: PlainConsole | None = None) -> ExitCode:
    """Create the study, or see that it agrees with what is there, for workers that somebody else starts. Returns 0.

    Raises:
        ConfigError, StorageError, StorageUnavailable: as `launch`.
    """
    console = console or PlainConsole()
    with _created(specification, console):
        kind = "env:NAME" if specification.storage.startswith("postgresql") else specification.storage
        console.print(
            f"workers join it with: frcnn-search worker --storage {shlex.quote(kind)} --study "
            f"{shlex.quote(specification.name)}"
        )
    return ExitCode.DONE


@contextmanager
def _created(specification: Specification, console: PlainConsole) -> Iterator[tuple[Specification, StoredStudy]]:
    """The study in its database, with its settled specification, which agrees with what was there before."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would write between our lines
    kept = ("derived",) if specification.derived is None else ()
    settled = settle(specification, console)
    specification = settled.specification
    with Database.open(specification.storage) as database:
        study = create_study(database, specification.name)
        agree(study, specification, kept=kept)
        keep_identity(study, Identity(code=code_version(), data=settled.data))
        if settled.screen is not None:
            keep_box_sample(study, settled.screen.to_json())
        console.print(_opening(_snapshot(study, specification), study, specification))
        yield specification, study


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A specification with what depends on the data worked out, and what is kept with the study beside it."""

    specification: Specification
    data: str  # fingerprint (search/worker/fingerprint.py); empty where no data is read
    screen: AnchorScreen | None = None  # None where there are no anchors to choose


def settle(specification: Specification, console: PlainConsole) -> Settled:
    """The specification with what depends on the data worked out.

    Every file is checked before any trial starts.

    Raises:
        ConfigError: the data cannot be used.
    """
    if specification.trainer != "detector":  # no data is read
        return Settled(specification=specification, data="")
    here = replace(specification, data=LocalPaths.here().find(specification.data))
    training_set, validation_set = here.data.load(seed=here.sampler.seed)
    own, share = here.data.sources()[1], here.data.validation_share
    held_out = "" if own else f", held out of the training data ({share:.0%}, by file name)"
    console.print(
        f"{len(training_set.images)} training images, {len(validation_set.images)} for validation{held_out}",
    )
    for name, dataset in (("training", training_set), ("validation", validation_set)):
        if dataset.dropped:
            first = dataset.dropped[0]
            console.print(
                f"{len(dataset.dropped)} {name} boxes dropped, the first: {first.file}: {first.reason}",
            )
    sizes_px = [(image.height_px, image.width_px) for image in training_set.images]
    settled = resolved(specification, training_images=len(training_set.images), sizes_px=sizes_px)
    fingerprint = pair_fingerprint(training_set.fingerprint, validation_set.fingerprint)
    return _with_derived(settled, training_set, fingerprint, console)


def _with_derived(specification: Specification, training_set: "Dataset", data: str, console: PlainConsole) -> Settled:
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
    )
    return replace(settled, specification=replace(specification, derived=derived.values | rate))


def _run(
    study: StoredStudy, specification: Specification, job: Job, executor: Executor, console: PlainConsole
) -> PoolExit:
    with executor.open(job, specification.workers, console.print) as start:
        pool = WorkerPool(start, workers=specification.workers, say=console.print)
        progress, trouble = Progress(console, rungs=specification.rungs), Trouble(job.folder, console.print)
        with stop_signals(at_once=pool.interrupt) as stop, progress.shown():
            while pool.supervise() and not stop.is_set():
                _update(progress, trouble, study, specification)
                stop.wait(TICK_S)
            if stop.is_set():
                console.print("stopping: trials are checkpointed; once more ends at once")
            pool.stop()
            ended = pool.leave(complete=lambda: _complete(study, specification))
            _update(progress, trouble, study, specification)
    return ended


def _update(progress: Progress, trouble: Trouble, study: StoredStudy, specification: Specification) -> None:
    try:
        snapshot = _snapshot(study, specification, since=progress.since)
    except StorageUnavailable as error:  # the workers know what to do then
        trouble.database_away(error)
    else:
        progress.update(snapshot)
        trouble.look(snapshot)


def _snapshot(study: StoredStudy, specification: Specification, since: datetime | None = None) -> Snapshot:
    return read_snapshot(study, trials=specification.budget.trials, since=since)


def _complete(study: StoredStudy, specification: Specification) -> bool:
    try:
        return _snapshot(study, specification).finished >= specification.budget.trials
    except StorageUnavailable:
        return False


def _opening(snapshot: Snapshot, study: StoredStudy, specification: Specification) -> str:
    begun = f"goes on with {snapshot.finished} of" if snapshot.outcomes or snapshot.finished else "begins:"
    rungs = ", ".join(map(str, specification.rungs))
    return (
        f"study {study.name} in {study.database.label} {begun} {specification.budget.trials} trials; "
        f"rungs at {rungs} images"
    )


def _close(
    study: StoredStudy, specification: Specification, ended: PoolExit, console: PlainConsole, folder: Path
) -> ExitCode:
    if ended.code is ExitCode.USER_MUST_ACT:
        raise ConfigError("\n".join(ended.messages))
    for message in ended.messages:
        console.print(message)
    if ended.code is ExitCode.DONE:
        console.print(ranking_table(ranking(study), specification.space))
        return ended.code
    state = f"{_snapshot(study, specification).finished} of {specification.budget.trials} trials are finished"
    if ended.code is ExitCode.TRY_LATER:
        console.print(f"stopped; {state}. The same command goes on")
    else:
        console.print(f"the workers failed; {state}. Their logs are in {folder / 'logs'}")
    return ended.code
