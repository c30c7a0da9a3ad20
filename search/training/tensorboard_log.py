"""Event files of a full training for TensorBoard, beside its record; the backend has no part in it.

Steps are images seen, as everywhere in this program.
"""

from pathlib import Path
from typing import Any

from detector.config import ConfigError
from detector.watch.health import LOSSES
from search.training.record import TrainingRecord
from trial.reports import ProgressReport, RungReport

FOLDER = "tensorboard"
FLUSH_S = 10  # who looks on sees what is so old
_TAGS = {"loss": "loss/total", **{name: f"loss/{name.removeprefix('loss_')}" for name in LOSSES}} | {
    name: f"training/{name}" for name in ("learning_rate", "gradient_norm")
}


class TensorBoardLog:
    """Passes what is reported on to the record, and writes losses, learning rate, speed and COCO's figures.

    Raises:
        ConfigError: tensorboardX is not installed.
    """

    def __init__(self, record: TrainingRecord, folder: Path) -> None:
        self._new_writer = _writer_class()
        self._record = record
        self._folder = folder
        self._writer: Any = None

    def reported(self) -> dict[int, float]:
        """As the record has it."""
        return self._record.reported()

    def progress(self, progress: ProgressReport) -> None:
        """Write the figures of a step."""
        self._record.progress(progress)
        for name, tag in _TAGS.items():
            if name in progress.figures:
                self._write(tag, progress.figures[name], progress.images)
        self._write("training/images_per_s", progress.images_per_s, progress.images)

    def rung(self, rung: RungReport, budget_images: int) -> None:
        """Write the figures of an evaluation."""
        self._record.rung(rung, budget_images)
        for name, value in {**rung.metrics, "ap": rung.ap}.items():
            self._write(f"evaluation/{name}", value, rung.images)

    def outcome_at(self, rung: int) -> None:
        """None: a full training goes on."""

    def close(self) -> None:
        """Have everything written."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, tag: str, value: float, images: int) -> None:
        if self._writer is None:  # only now it is known where a training goes on: later steps of before are void
            # Its names have seconds: two writers of one second would overwrite each other.
            settings = {"purge_step": images, "flush_secs": FLUSH_S, "filename_suffix": f".{images}"}
            self._writer = self._new_writer(str(self._folder), **settings)
        self._writer.add_scalar(tag, value, images)


def _writer_class() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        raise ConfigError(
            "--tensorboard needs tensorboardX, which is not installed: pip install tensorboardX"
        ) from error
    return SummaryWriter
