"""`frcnn-search evaluate`, and the end of `train`: what trained weights find in annotated images, against COCO's."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from detector.config import ConfigError
from detector.data.dataset import Dataset, load_dataset
from detector.data.image_cache import open_cache
from search.export.evaluation_files import LEAST_SCORE, write_evaluation
from search.export.metrics_table import metrics_table
from search.export.weights_file import open_detector
from search.study.named_data import named_data
from search.terminal import PlainConsole, progress_bar

if TYPE_CHECKING:
    from detector.training.trained_detector import TrainedDetector
    from detector.training.validation import Evaluation


def evaluate(
    weights: Path,
    data: Path,
    console: PlainConsole,
    *,
    output: Path | None = None,
    least_score: float = LEAST_SCORE,
) -> dict[str, float]:
    """COCO's metrics on the validation images of the data, or on all images where there is no such split. Shows them.

    `data` is a folder, a file of annotations, or a file with a section `data`: a study file or an exported
    configuration. The folder `output` gets tables and pictures.

    Raises:
        ConfigError: the weights or the data can't be used, the data has classes that the weights lack, or the folder
            can't be written.
    """
    detector = open_detector(weights)
    train, validation = named_data(data).sources()
    dataset = load_dataset(validation or train, classes=detector.facts.classes)
    if output is not None:
        _make(output)
    which = "validation images" if validation else "images, all of the data: it has no validation split"
    console.print(f"{len(dataset.images)} {which}")
    with tempfile.TemporaryDirectory() as folder:
        evaluation = evaluation_of(detector, dataset, Path(folder), console)
    console.print(metrics_table(evaluation.metrics))
    if output is not None:
        write_evaluation(output, dataset, evaluation.detections, least_score=least_score)
        console.print(f"wrote tables and pictures into {output}")
    return evaluation.metrics


def evaluation_of(detector: "TrainedDetector", dataset: Dataset, cache: Path, console: PlainConsole) -> "Evaluation":
    """The evaluation of the detector on all images; decoded ones are kept in the folder `cache`.

    Raises:
        ConfigError: an image can't be decoded.
    """
    from detector.training.validation import Validation  # loads Keras

    canvas, size = detector.facts.shape.canvas, detector.facts.shape.micro_batch
    with progress_bar(console) as bar:
        decoded, evaluated = (bar.add_task(name, total=len(dataset.images)) for name in ("decoded", "evaluated"))
        opened = open_cache(dataset, canvas, cache, progress=lambda done, _: bar.update(decoded, completed=done))
        return Validation(dataset, opened, None).evaluated(
            detector.predict, size, lambda what, done, of: bar.update(evaluated, completed=done)
        )


def _make(output: Path) -> None:
    """Before minutes of evaluation, and not after them."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{output} cannot be written ({error.strerror}); choose another --output") from error
