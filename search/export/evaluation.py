"""`frcnn-search evaluate`: the AP of trained weights on annotated data."""

import tempfile
from pathlib import Path

from rich.progress import Progress

from detector.data.dataset import load_dataset
from detector.data.image_cache import open_cache
from detector.data.layout import find_sources
from search.export.training_record import metrics_table
from search.export.weights_file import open_detector
from search.terminal import PlainConsole


def evaluate(weights: Path, data: Path, console: PlainConsole) -> dict[str, float]:
    """COCO's metrics on the validation images of the data, or on all images where there is no such split. Shows them.

    Raises:
        ConfigError: the weights or the data can't be used, or the data has classes that the weights lack.
    """
    detector = open_detector(weights)
    from detector.training.validation import Validation  # loads Keras, after it was told to be quiet

    train, validation = find_sources(data)
    dataset = load_dataset(validation or train, classes=detector.facts.classes)
    which = "validation images" if validation else "images, all of the data: it has no validation split"
    console.print(f"{len(dataset.images)} {which}")
    with tempfile.TemporaryDirectory() as folder, _bar(console) as bar:
        decoding, evaluating = (bar.add_task(name, total=len(dataset.images)) for name in ("decoded", "evaluated"))
        cache = open_cache(
            dataset,
            detector.facts.shape.canvas,
            Path(folder),
            progress=lambda done, total: bar.update(decoding, completed=done),
        )
        metrics = Validation(dataset, cache, None).metrics(
            detector.predict,
            detector.facts.shape.micro_batch,
            lambda what, done, of: bar.update(evaluating, completed=done),
        )
    console.print(metrics_table(metrics))
    return metrics


def _bar(console: PlainConsole) -> Progress:
    return Progress(console=console, transient=True, disable=not console.is_terminal)
