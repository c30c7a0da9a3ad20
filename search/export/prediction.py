"""`frcnn-search predict`: what trained weights find in image files, as COCO JSON and as pictures."""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.config import ConfigError
from detector.data.dataset import Image, unannotated
from detector.data.formats.image_list import is_image
from detector.data.image_cache import letterbox
from detector.similar_path import did_you_mean
from detector.whole_file import write_whole
from search.drawing.boxes_on_image import BoxesOnImage
from search.export.weights_file import open_detector
from search.study.canvas import canvas_for
from search.terminal import PlainConsole, progress_bar

if TYPE_CHECKING:
    from detector.data.metrics.average_precision import Detections
    from detector.training.trained_detector import TrainedDetector

DETECTIONS_FILE = "detections.json"
PICTURE_PX = 1024
COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6", "#bfef45", "#fabed4", "#469990")


def predict(weights: Path, places: Sequence[Path], output: Path, *, least_score: float, console: PlainConsole) -> int:
    """Write detections.json and a picture for each image into the folder; returns how many objects were found.

    Objects below the score are left out of both.

    Raises:
        ConfigError: the weights, an image or the folder can't be used.
    """
    images = [unannotated(path, number) for number, path in enumerate(_files(places), start=1)]
    detector = open_detector(weights)
    try:
        return _predict(detector, images, output, least_score, console)
    except OSError as error:
        raise ConfigError(f"{output} cannot be written ({error.strerror}); choose another --output") from error


def _predict(
    detector: "TrainedDetector", images: Sequence[Image], output: Path, least_score: float, console: PlainConsole
) -> int:
    output.mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, Any]] = []
    with progress_bar(console) as bar:
        for image, found in zip(bar.track(images, description="images"), detector.detect(images), strict=True):
            kept = found.scores >= least_score
            entries += _entries(image, found, kept, first=len(entries) + 1)
            picture = _picture(image, found, kept, detector.facts.classes)
            write_whole(output / f"{image.image_id:04d}_{image.path.stem}.png", partial(_write, picture))
    document = {
        "images": [
            {"id": each.image_id, "file_name": str(each.path), "width": each.width_px, "height": each.height_px}
            for each in images
        ],
        "categories": [{"id": label, "name": name} for label, name in enumerate(detector.facts.classes, start=1)],
        "annotations": entries,
    }
    write_whole(output / DETECTIONS_FILE, json.dumps(document, indent=1))
    console.print(
        f"found {len(entries)} objects in {len(images)} images; wrote {output / DETECTIONS_FILE} and pictures"
    )
    return len(entries)


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _files(places: Iterable[Path]) -> list[Path]:
    """The image files that are named, and those in the folders that are."""
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise ConfigError(f"{place}: there is no such file or folder{did_you_mean(place)}; name images")
        inside = sorted(file for file in place.iterdir() if is_image(file.name)) if place.is_dir() else [place]
        if not inside:
            raise ConfigError(f"{place}: there is no image in this folder; name one that holds images, or image files")
        found += inside
    return [path.resolve() for path in found]


def _entries(image: Image, found: "Detections", kept: np.ndarray, *, first: int) -> list[dict[str, Any]]:
    """The detections as COCO has annotations, each with its score."""
    rows = zip(found.boxes[kept].tolist(), found.labels[kept].tolist(), found.scores[kept].tolist(), strict=True)
    return [
        {
            "id": number,
            "image_id": image.image_id,
            "category_id": label + 1,
            "bbox": [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)],
            "area": round((x2 - x1) * (y2 - y1), 3),
            "iscrowd": 0,
            "score": round(score, 6),
        }
        for number, ((y1, x1, y2, x2), label, score) in enumerate(rows, start=first)
    ]


def _picture(image: Image, found: "Detections", kept: np.ndarray, classes: Sequence[str]) -> bytes:
    """The image with its boxes, names and scores, as PNG."""
    canvas = canvas_for([(image.height_px, image.width_px)], PICTURE_PX)
    drawn = BoxesOnImage(image, canvas, long_side_px=PICTURE_PX)
    boxes = found.boxes[kept].astype(np.float64) * letterbox(image, canvas)[0]
    labels, scores = found.labels[kept].tolist(), found.scores[kept].tolist()
    for label in sorted(set(labels)):
        own = boxes[[index for index, each in enumerate(labels) if each == label]]
        drawn.outline(own, COLOURS[label % len(COLOURS)], width_px=2)
    drawn.label(boxes, [f"{classes[label]} {score:.2f}" for label, score in zip(labels, scores, strict=True)])
    return drawn.png()
