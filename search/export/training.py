"""The full training of one exported configuration, by the same trainer process and protocol as a trial."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event

from filelock import FileLock, Timeout

from detector.config import ConfigError
from detector.setup import Setup
from search.exit_codes import ExitCode
from search.export.configuration_file import Configuration, read_configuration
from search.export.training_record import TrainingRecord, agree, metrics_table
from search.signals import stop_signals
from search.study.named_paths import require_data
from search.terminal import PlainConsole
from search.trainer.exits import DiskFull, SetupFailed
from search.trainer.protocol import Start
from search.trainer.warm import WarmTrainer
from trial.outcome import Outcome
from trial.verdict import DISK_FULL, Verdict

WEIGHTS_FILE = "weights.safetensors"  # as the trainer calls it
EVALUATIONS = 4  # on the way, evenly; each leaves a checkpoint behind


def train(
    file: Path,
    *,
    images: int | None,
    data: Path | None,
    output: Path,
    seed: int | None,
    trainer: str = "detector",
    console: PlainConsole | None = None,
) -> ExitCode:
    """Train the configuration in the file, or go on with it; prints COCO AP and returns the exit code.

    The folder `output` gets the weights, the evaluations and the trainer's log.

    Raises:
        ConfigError: the file, the data or the folder cannot be used.
    """
    console = console or PlainConsole()
    configuration = read_configuration(file)
    if data is None:
        require_data(file, configuration.data)
    start = _start(configuration, images, seed, output)
    setup = _setup(configuration, data, output)
    with _claimed(output):
        agree(output, {"configuration": asdict(configuration), "images": start.budget_images, "seed": start.seed})
        record = TrainingRecord(output, show=lambda line: console.print(line))
        with stop_signals(_interrupt) as stop:
            verdict = _run(WarmTrainer(trainer, setup, log=output / "trainer.log"), start, record, stop)
    return _conclude(verdict, record, start, console)


def _start(configuration: Configuration, images: int | None, seed: int | None, output: Path) -> Start:
    return Start(
        trial=configuration.provenance.trial,
        hyperparameters=configuration.hyperparameters,
        seed=configuration.provenance.seed if seed is None else seed,
        budget_images=images or configuration.provenance.budget_images,
        directory=output.resolve(),
        keep_weights=True,
    )


def _setup(configuration: Configuration, data: Path | None, output: Path) -> Setup:
    of_file = configuration.data
    train_source, validation = (of_file if data is None else of_file.elsewhere(data)).sources()
    batch_size = configuration.hyperparameters.batch_size
    return Setup(
        train=train_source,
        validation=validation,
        validation_share=configuration.data.validation_share,
        detector=configuration.detector,
        anchors_per_cell=max(configuration.provenance.anchor_slots, configuration.hyperparameters.anchors.per_cell),
        micro_batch=configuration.detector.micro_batch or batch_size,
        validation_images=None,
        cache=output.resolve() / "cache",
        seed=configuration.provenance.study_seed,
    )


def _run(trainer: WarmTrainer, start: Start, record: TrainingRecord, stop: Event) -> Verdict:
    """From setup to a verdict, whatever happens on the way."""
    try:
        points = evaluation_points(start.budget_images, start.hyperparameters.batch_size)
        return trainer.train(start, points, record, stop)
    except SetupFailed as failure:
        return failure.verdict
    except DiskFull as full:
        return Verdict(outcome=Outcome.INTERRUPTED, cause=DISK_FULL, message=str(full))
    finally:
        trainer.kill()


def evaluation_points(budget_images: int, batch_size: int) -> tuple[int, ...]:
    """Images after which a training of this length is evaluated, ascending; the last is the end.

    Never two within one batch: training stops only between batches.
    """
    points = (budget_images * number // EVALUATIONS for number in range(1, EVALUATIONS + 1))
    last_of_step = {-(-point // batch_size): point for point in points if point}
    return tuple(last_of_step.values())


def _conclude(verdict: Verdict, record: TrainingRecord, start: Start, console: PlainConsole) -> ExitCode:
    """Say how it ended; the exit code."""
    if verdict.outcome is Outcome.COMPLETE:
        console.print(metrics_table(record.metrics[start.budget_images]))
        console.print(f"weights: {start.directory / WEIGHTS_FILE}")
        return ExitCode.DONE
    if verdict.outcome is Outcome.INTERRUPTED:
        why = verdict.message if verdict.cause == DISK_FULL else "interrupted"
        console.print(f"{why}; run the same command again to go on")
        return ExitCode.TRY_LATER
    if verdict.outcome is Outcome.CRASHED:
        log = start.directory / "trainer.log"
        console.print(f"the trainer crashed: {verdict.message}; see {log}")
        return ExitCode.BUG
    raise ConfigError(f"the training ended as {verdict.outcome}: {verdict.message or verdict.cause}")


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
