"""What a full training shows, and leaves in its folder beside weights and checkpoint.

evaluations.json   COCO metrics by images seen: where a resumed training goes on, and the result
"""

from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from detector.config import require
from search.training.json_file import read_object, replace_object
from trial.reports import ProgressReport, RungReport

EVALUATIONS_FILE = "evaluations.json"
_EVALUATIONS = TypeAdapter(dict[int, dict[str, float]])


class TrainingRecord:
    """The journal of one training. `show` gets a line for a person now and then, `stepped` every report."""

    def __init__(
        self,
        folder: Path,
        *,
        show: Callable[[str], None],
        stepped: Callable[[ProgressReport], None] = lambda progress: None,
    ) -> None:
        self._file = folder / EVALUATIONS_FILE
        self._show = show
        self._stepped = stepped
        self._shown_images = 0
        self._warned: set[str] = set()
        self.metrics = _evaluations(self._file)

    def reported(self) -> dict[int, float]:
        """AP by images, from before an interruption."""
        return {images: metrics["ap"] for images, metrics in self.metrics.items()}

    def progress(self, progress: ProgressReport) -> None:
        """Show a line for every new warning, and for about every hundredth step."""
        self._stepped(progress)
        for warned in progress.warnings:
            if warned.rule not in self._warned:
                self._warned.add(warned.rule)
                self._show(f"warning: {warned.rule} at step {warned.step}: {warned.message}")
        if progress.images - self._shown_images >= 100 * progress.images / max(progress.step, 1):
            self._shown_images = progress.images
            loss = progress.figures.get("loss", float("nan"))
            self._show(f"{progress.images} images: loss {loss:.3f}, {progress.images_per_s:.1f} images/s")

    def rung(self, rung: RungReport, budget_images: int) -> None:
        """Keep an evaluation, and show its AP."""
        self.metrics[budget_images] = {"ap": rung.ap, **rung.metrics}
        replace_object(self._file, {str(images): metrics for images, metrics in self.metrics.items()})
        self._show(f"{rung.images} images: AP {rung.ap:.3f}")

    def outcome_at(self, rung: int) -> None:
        """None: a full training has no peers, and goes on."""


def _evaluations(file: Path) -> dict[int, dict[str, float]]:
    """Metrics by images, the AP among them."""
    try:
        metrics = _EVALUATIONS.validate_python(read_object(file) or {})
    except ValidationError:
        metrics = {0: {}}
    require(
        all("ap" in each for each in metrics.values()),
        f"{file} must hold metrics by images, each with its ap, but does not; choose another --output",
    )
    return metrics
