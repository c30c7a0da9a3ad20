"""Creates or resumes a study on this machine and runs it to its end."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import optuna

from detector.config import ConfigError
from search.engines.handle import Executor, Job
from search.engines.local_executor import LocalExecutor
from search.exit_codes import ExitCode
from search.launch.compatibility import OtherSpecification, agree, is_blank
from search.launch.examination import require_health
from search.launch.overrides import Overrides, keep_overrides
from search.launch.progress import Progress
from search.launch.settled import Settled, settle
from search.launch.setup_check import require_setup
from search.launch.snapshot import Snapshot, read_snapshot
from search.launch.trouble import Trouble
from search.launch.worker_pool import PoolExit, WorkerPool
from search.policy.schedule import Schedule, is_over
from search.policy.settlement import read_settlement
from search.report.certainty import alike, alike_text
from search.report.ranking import best, ranking, ranking_table
from search.report.untrained import has_learnt, keep_untrained, read_untrained, untrained_text
from search.signals import stop_signals
from search.study.default_file import DEFAULT_STUDY_FILE
from search.study.specification import Specification
from search.terminal import PlainConsole
from search.worker.fingerprint import Identity, OtherData, code_version, keep_identity
from storage.box_samples import keep_box_sample
from storage.connection.database import Database
from storage.connection.errors import StorageUnavailable
from storage.study import StoredStudy, create_study, delete_study, find_study, study_names

TICK_S = 1.0


def launch(
    specification: Specification,
    *,
    folder: Path,
    console: PlainConsole | None = None,
    options: tuple[str, ...] = (),
    executor: Executor | None = None,
    despite_errors: bool = False,
    study_file: Path = DEFAULT_STUDY_FILE,
    overrides: Overrides = MappingProxyType({}),
) -> ExitCode:
    """Run the study until it has its trials, or until a signal: the first stops cleanly, the second at once.

    Checkpoints, caches and logs go below `folder`. Returns 0 when the study is complete, 75 when it was stopped or
    the database went away (the same call goes on), 2 when no trial is of use, 1 after a bug. `options` go to the
    worker processes, which the executor starts: on this machine by default. A new study begins only if the doctor
    finds no error, or despite them. The end names the command that follows, of `study_file`; what stands over that file
    is kept with the study.

    Raises:
        ConfigError: the data or the executor cannot be used, or the study was begun with another specification.
        StorageError, StorageUnavailable: the database cannot be used, or not now.
    """
    console = console or PlainConsole()
    executor = executor or LocalExecutor()
    check = _Check(
        folder=folder,
        study_file=study_file,
        despite_errors=despite_errors,
        on_this_machine=executor.on_this_machine,
    )
    with _created(specification, console, check, overrides) as (specification, study):
        if is_over(study, specification):
            ended = PoolExit(code=ExitCode.DONE, messages=())
        else:
            job = Job(study=specification.name, storage=specification.storage, folder=folder, options=options)
            ended = _run(study, specification, job, executor, console)
        return _close(study, specification, ended, console, folder, study_file)


def only_create(
    specification: Specification,
    *,
    folder: Path,
    console: PlainConsole | None = None,
    despite_errors: bool = False,
    study_file: Path = DEFAULT_STUDY_FILE,
    overrides: Overrides = MappingProxyType({}),
) -> ExitCode:
    """Create the study, or see that it agrees with what is there, for workers that somebody else starts. Returns 0.

    Decoded images go below `folder`.

    Raises:
        ConfigError, StorageError, StorageUnavailable: as `launch`.
    """
    console = console or PlainConsole()
    check = _Check(folder=folder, study_file=study_file, despite_errors=despite_errors, on_this_machine=False)
    with _created(specification, console, check, overrides):
        kind = "env:NAME" if specification.storage.startswith("postgresql") else specification.storage
        console.print(
            f"workers join it with: frcnn-search worker --storage {shlex.quote(kind)} --study "
            f"{shlex.quote(specification.name)}"
        )
    return ExitCode.DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """How a study is examined before it exists."""

    folder: Path  # for caches and logs
    study_file: Path  # of which advised commands are
    despite_errors: bool  # of the doctor
    on_this_machine: bool  # the workers run here

    def require(self, specification: Specification, console: PlainConsole) -> float | None:
        """Return if the study can work, with the AP of its untrained detector where that can be measured.

        Raises:
            ConfigError, SetupFailed, DiskFull: it can't, and why.
        """
        require_health(specification, console, study_file=self.study_file, despite_errors=self.despite_errors)
        return require_setup(specification, console, folder=self.folder, on_this_machine=self.on_this_machine)


@contextmanager
def _created(
    specification: Specification, console: PlainConsole, check: _Check, overrides: Overrides
) -> Iterator[tuple[Specification, StoredStudy]]:
    """The study in its database, with its settled specification, which agrees with what was there before."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would write between our lines
    kept = ("derived",) if specification.derived is None else ()
    settled = settle(specification, console, folder=check.folder)
    specification = settled.specification
    with Database.open(specification.storage) as database:
        study = _agreed(database, settled, kept, console, check)
        keep_overrides(study, overrides)
        if settled.screen is not None:
            keep_box_sample(study, settled.screen.to_json())
        console.print(_opening(_snapshot(study, specification), study, specification))
        yield specification, study


def _agreed(
    database: Database, settled: Settled, kept: tuple[str, ...], console: PlainConsole, check: _Check
) -> StoredStudy:
    """The study with these settings; one that is there with others is begun anew if nothing of it would be lost."""
    specification = settled.specification

    def agreed(untrained_ap: float | None) -> StoredStudy:
        study = create_study(database, specification.name)
        agree(study, specification, kept=kept)
        if untrained_ap is not None:
            keep_untrained(study, untrained_ap)
        keep_identity(study, Identity(code=code_version(), data=settled.data))
        return study

    is_new = specification.name not in study_names(database)
    untrained_ap = check.require(specification, console) if is_new else None
    try:
        return agreed(untrained_ap)
    except (OtherSpecification, OtherData) as error:
        if not is_blank(find_study(database, specification.name)):
            way_on = "To go on from its best trials instead, launch again with --continue-as NAME"
            raise ConfigError(f"{error}\n{way_on}") from None
    untrained_ap = check.require(specification, console)
    delete_study(database, specification.name)
    console.print(
        f"study {specification.name} was begun with other settings or data, but had no trained trial: it begins anew"
    )
    return agreed(untrained_ap)


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
    schedule = Schedule.of(specification)
    likely_images = schedule.likely_images() if schedule.bounds_images else None
    return read_snapshot(study, trials=schedule.trials, likely_images=likely_images, since=since)


def _complete(study: StoredStudy, specification: Specification) -> bool:
    try:
        return is_over(study, specification)
    except StorageUnavailable:
        return False


def _opening(snapshot: Snapshot, study: StoredStudy, specification: Specification) -> str:
    begun = f"goes on with {snapshot.tried} of" if snapshot.outcomes or snapshot.tried else "begins:"
    rungs = ", ".join(map(str, specification.rungs))
    trainings = specification.budget.trainings
    within = f" within {trainings:g} full trainings" if trainings else ""
    return (
        f"study {study.name} in {study.database.label} {begun} {specification.trials} trials{within}; "
        f"rungs at {rungs} images"
    )


def _close(
    study: StoredStudy,
    specification: Specification,
    ended: PoolExit,
    console: PlainConsole,
    folder: Path,
    study_file: Path,
) -> ExitCode:
    if ended.code is ExitCode.USER_MUST_ACT:
        raise ConfigError("\n".join(ended.messages))
    for message in ended.messages:
        console.print(message)
    if ended.code is ExitCode.DONE:
        places, untrained_ap = ranking(study), read_untrained(study)
        console.print(ranking_table(places, specification.space, specification.imported))
        if text := alike_text(best(places), alike(places)):
            console.print(f"the best trial is {text}")
        if text := untrained_text(best(places), untrained_ap):
            console.print(text)
        if settled := read_settlement(study):
            console.print(f"the study is {settled}")
        return _what_is_next(has_learnt(best(places), untrained_ap), study_file, console)
    snapshot = _snapshot(study, specification)
    paused = f", {snapshot.paused} wait at a rung" if snapshot.paused else ""
    state = f"{snapshot.finished} of {snapshot.trials} trials are finished{paused}"
    if ended.code is ExitCode.TRY_LATER:
        console.print(f"stopped; {state}. The same command goes on")
    else:
        console.print(f"the workers failed; {state}. Their logs are in {folder / 'logs'}")
    return ended.code


def _what_is_next(any_is_usable: bool, study_file: Path, console: PlainConsole) -> ExitCode:
    """Say the command that follows a study that is complete."""
    of = shlex.quote(str(study_file))
    if not any_is_usable:
        console.print(f"no trial is of use; what to change: frcnn-search explain {of}")
        return ExitCode.USER_MUST_ACT
    console.print(f"next: frcnn-search export {of} --output best.yaml, and then frcnn-search train best.yaml")
    return ExitCode.DONE
