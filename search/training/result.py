"""What a full training came to: its figures, its weights, and tables and pictures of what they find."""

from pathlib import Path

from detector.detector_facts import WEIGHTS_FILE
from search.exit_codes import ExitCode
from search.export.configuration_file import Configuration
from search.export.evaluation import evaluation_of
from search.export.evaluation_files import FILES, write_evaluation
from search.export.metrics_table import metrics_table
from search.export.native_messages import hidden_messages
from search.export.weights_file import open_detector
from search.terminal import PlainConsole
from search.trainer.protocol import Start
from search.training.data_agreement import load_agreeing
from search.training.record import TrainingRecord


def show_result(
    record: TrainingRecord, start: Start, configuration: Configuration, data: Path | None, console: PlainConsole
) -> ExitCode:
    """Show the result; tables and pictures of the weights are made if they are not there."""
    folder = start.directory
    weights = folder / WEIGHTS_FILE
    console.print(metrics_table(record.metrics[start.budget_images]))
    if not weights.is_file():
        console.print(f"weights: none in {folder}; train into another --output to have some")
        return ExitCode.DONE
    console.print(f"weights: {weights}")
    if not _is_newer(folder / FILES[-1], weights):
        with hidden_messages():
            _, validation = load_agreeing(configuration, data)
            found = evaluation_of(open_detector(weights), validation, folder / "cache", console)
            write_evaluation(folder, validation, found.detections)
    console.print(f"by class, as tables and pictures: {', '.join(FILES)}")
    return ExitCode.DONE


def _is_newer(file: Path, than: Path) -> bool:
    return file.is_file() and file.stat().st_mtime_ns >= than.stat().st_mtime_ns
