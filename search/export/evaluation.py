"""`frcnn-search evaluate`: the AP of trained weights on annotated data."""

import tempfile
from pathlib import Path

from detector.data.dataset import load_dataset
from detector.data.image_cache import open_cache
from search.export.training_record import metrics_table
from search.export.weights_file import open_detector
from search.study.named_data import named_data
from search.terminal import PlainConsole, progress_bar


def evaluate(weights: Path, data: Path, console: PlainConsole) -> dict[str, float]:
    """COCO's metrics on the validation images of the data, or on all images where there is no such split. Shows them.

    `data` is a folder, a file of annotations, or a file with a section `data`: a study file or an exported
    configuration.

    Raises:
        ConfigError: the weights or the data can't be used, or the data has classes that the weights lack.
    """
    detector = open_detector(weights)
    from detector.training.validation import Validation  # loads Keras

    train, validation = named_data(data).sources()
    dataset = load_dataset(validation or train, classes=detector.facts.classes)
    which = "validation images" if validation else "images, all of the data: it has no validation split"
    console.print(f"{len(dataset.images)} {which}")
    canvas, size = detector.facts.shape.canvas, detector.facts.shape.micro_batch
    with tempfile.TemporaryDirectory() as folder, progress_bar(console) as bar:
        decoded, evaluated = (bar.add_task(name, total=len(dataset.images)) for name in ("decoded", "evaluated"))
        cache = open_cache(dataset, canvas, Path(folder), progress=lambda done, _: bar.update(decoded, completed=done))
        metrics = Validation(dataset, cache, None).metrics(
            detector.predict, size, lambda what, done, of: bar.update(evaluated, completed=done)
        )
    console.print(metrics_table(metrics))
    return metrics
