"""The full training of one exported configuration, by the same trainer process and protocol as a trial."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event
from typing import Any

from filelock import FileLock, Timeout

from detector.config import ConfigError
from detector.setup import Setup
from search.exit_codes import ExitCode
from search.export.configuration_file import Configuration, read_configuration
from search.signals import stop_signals
from search.study.named_paths import require_data
from search.terminal import PlainConsole
from search.trainer.exits import DiskFull, SetupFailed
from search.trainer.protocol import Start
from search.trainer.run import Recorder
from search.trainer.warm import WarmTrainer
from search.training.agreement import agree, agreed, plain, refuse_another
from search.training.continuation import continued_after
from search.training.data_agreement import change_of_data, load_agreeing
from search.training.display import TrainingDisplay
from search.training.initial_weights import anchor_slots, initial_weights
from search.training.record import TrainingRecord
from search.training.result import show_result
from search.training.tensorboard_log import FOLDER, TensorBoardLog
from trial.outcome import Outcome
from trial.verdict import DISK_FULL, Verdict

EVALUATIONS = 4  # on the way, evenly; each leaves a checkpoint behind


def train(
    file: Path,
    *,
    images: int | None,
    data: Path | None,
    output: Path,
    seed: int | None,
    weights: str | None = None,
    tensorboard: bool = False,
    trainer: str = "detector",
    console: PlainConsole | None = None,
) -> ExitCode:
    """Train the configuration in the file, or go on with it; prints COCO AP and returns the exit code.

    The folder `output` gets the weights, the evaluations and the trainer's log.

    Raises:
        ConfigError: the file, the data or the folder cannot be used.
    """
    console = console or PlainConsole()
    configuration, initial = read_configuration(file), None
    if data is None:
        require_data(file, configuration.data)
    if weights is not None:
        initial = initial_weights(configuration, weights)
        configuration = replace(configuration, detector=initial.detector)
    start = _start(configuration, images, seed, output)
    setup = _setup(configuration, data, output, whole=initial is not None and initial.whole)
    with _claimed(output):
        display = TrainingDisplay(console, budget_images=start.budget_images)
        record = TrainingRecord(output, show=display.tell, stepped=display.stepped)
        facts = _facts(configuration, start, data)
        if _is_over(record, start, facts):
            return show_result(record, start, configuration, data, console)
        log = TensorBoardLog(record, output / FOLDER) if tensorboard else None
        refuse_another(output, facts)
        after = continued_after(start, record.metrics, console)
        agree(output, {**facts, "dataset": _agreed_data(configuration, data, console), "continued_after": after})
        if _is_over(record, start, facts):  # the same data, elsewhere
            return show_result(record, start, configuration, data, console)
        if initial is not None and not (after or record.metrics):
            console.print(initial.line)
        points = evaluation_points(start.budget_images, start.hyperparameters.batch_size, after=after)
        warm = WarmTrainer(trainer, setup, log=output / "trainer.log", told=display.busy)
        with stop_signals(_interrupt) as stop, closing(log) if log else nullcontext(), display.shown():
            verdict = _run(warm, start, points, log or record, stop)
        if verdict.outcome is Outcome.COMPLETE:
            return show_result(record, start, configuration, data, console)
    return _conclude(verdict, start, console)


def _facts(configuration: Configuration, start: Start, data: Path | None) -> dict[str, Any]:
    """What is trained, but for what the data holds."""
    return plain(
        {
            "configuration": asdict(configuration),
            "seed": start.seed,
            "images": start.budget_images,
            "data": data and data.resolve(),
        }
    )


def _is_over(record: TrainingRecord, start: Start, facts: Mapping[str, Any]) -> bool:
    """Whether this very training has ended in the folder."""
    stored = agreed(start.directory)
    same = stored is not None and all(stored.get(name, None) == value for name, value in facts.items())
    return same and start.budget_images in record.metrics


def _agreed_data(configuration: Configuration, data: Path | None, console: PlainConsole) -> str:
    """The fingerprint of the training images, checked before a trainer starts, and without Keras."""
    train_set, _ = load_agreeing(configuration, data)
    if data is None and (change := change_of_data(configuration, train_set)) is not None:
        console.print(change)
    return train_set.fingerprint


def _start(configuration: Configuration, images: int | None, seed: int | None, output: Path) -> Start:
    return Start(
        trial=configuration.provenance.trial,
        hyperparameters=configuration.hyperparameters,
        seed=configuration.provenance.seed if seed is None else seed,
        budget_images=images or configuration.provenance.budget_images,
        directory=output.resolve(),
        keep_weights=True,
    )


def _setup(configuration: Configuration, data: Path | None, output: Path, *, whole: bool) -> Setup:
    of_file = configuration.data
    train_source, validation = (of_file if data is None else of_file.elsewhere(data)).sources()
    batch_size = configuration.hyperparameters.batch_size
    return Setup(
        train=train_source,
        validation=validation,
        validation_share=configuration.data.validation_share,
        detector=configuration.detector,
        anchors_per_cell=anchor_slots(configuration),
        micro_batch=configuration.detector.micro_batch or batch_size,
        validation_images=None,
        cache=output.resolve() / "cache",
        seed=configuration.provenance.study_seed,
        whole_weights=whole,
    )


def _run(trainer: WarmTrainer, start: Start, points: tuple[int, ...], record: Recorder, stop: Event) -> Verdict:
    """From setup to a verdict, whatever happens on the way."""
    try:
        return trainer.train(start, points, record, stop)
    except SetupFailed as failure:
        return failure.verdict
    except DiskFull as full:
        return Verdict(outcome=Outcome.INTERRUPTED, cause=DISK_FULL, message=str(full))
    finally:
        trainer.kill()


def evaluation_points(budget_images: int, batch_size: int, *, after: int = 0) -> tuple[int, ...]:
    """Images after which a training of this length is evaluated, ascending; the last is the end.

    Never two within one batch: training stops only between batches. None before `after`, where a training of another
    length had come to, with evaluations of its own.
    """
    points = (budget_images * number // EVALUATIONS for number in range(1, EVALUATIONS + 1))
    last_of_step = {-(-point // batch_size): point for point in points if point and point >= after}
    return tuple(last_of_step.values())


def _conclude(verdict: Verdict, start: Start, console: PlainConsole) -> ExitCode:
    """Say how it ended before its end; the exit code."""
    if verdict.outcome is Outcome.INTERRUPTED:
        why = verdict.message if verdict.cause == DISK_FULL else "interrupted"
        console.print(f"{why}; run the same command again to go on")
        return ExitCode.TRY_LATER
    if verdict.outcome is Outcome.CRASHED:
        log = start.directory / "trainer.log"
        console.print(f"the trainer crashed: {verdict.message}; see {log}")
        return ExitCode.BUG
    raise ConfigError(f"the training ended as {verdict.outcome}: {verdict.sentence}")


@contextmanager
def _claimed(output: Path) -> Iterator[None]:
    """The folder for this process alone."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        lock = FileLock(output / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise ConfigError(f"another process is training in {output}; wait for it, or choose another --output") from None
    except OSError as error:
        raise ConfigError(f"{output} cannot be written ({error.strerror}); choose another --output") from error
    try:
        yield
    finally:
        lock.release()


def _interrupt() -> None:
    raise KeyboardInterrupt
