"""What `train` shows from its first second on: the trainer's stages, then how far it is and how long it will take."""

from collections.abc import Iterator
from contextlib import contextmanager

from search.display.duration import clock_text
from search.display.foot import Foot
from search.display.stage_line import StageLine
from search.terminal import PlainConsole
from search.trainer.protocol import Preparing
from trial.reports import ProgressReport


class TrainingDisplay:
    """The foot of one training of so many images."""

    def __init__(self, console: PlainConsole, *, budget_images: int) -> None:
        self._foot = Foot(console)
        self._stages = StageLine(self._foot, "training")
        self._budget_images = budget_images

    @contextmanager
    def shown(self) -> Iterator["TrainingDisplay"]:
        """Show it in this block."""
        with self._foot.shown():
            yield self

    def tell(self, line: str) -> None:
        """Print a line that stays."""
        self._foot.tell(line)

    def busy(self, state: Preparing | None) -> None:
        """Take note of a stage of the trainer."""
        self._stages.show(state)

    def stepped(self, progress: ProgressReport) -> None:
        """Take note of the newest figures."""
        line = progress_text(progress, self._budget_images)
        self._foot.show(lambda: [line])


def progress_text(progress: ProgressReport, budget_images: int) -> str:
    """How far a training is, in one line of at most 80 characters."""
    parts = [f"{progress.images} of {budget_images} images"]
    if progress.images_per_s > 0:
        left_s = max(0, budget_images - progress.images) / progress.images_per_s
        parts += [f"{progress.images_per_s:.1f} images/s", f"{clock_text(left_s)} left"]
    if "loss" in progress.figures:
        parts.append(f"loss {progress.figures['loss']:.3g}")
    return ", ".join(parts)
