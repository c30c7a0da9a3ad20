"""Writes YOLO: data.yaml, images/{train,val} and labels/{train,val}. It has no mark for crowds: these are left out."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from detector.data.dataset import Image
from detector.data.written.split import WrittenSplit, corners_of, flat_names


def write(output: Path, splits: Sequence[WrittenSplit]) -> list[list[Path]]:
    """data.yaml and the label files; returns where each image of each split belongs."""
    classes = dict(enumerate(splits[0].dataset.classes))
    document = {"path": ".", **{split.name: f"images/{split.name}" for split in splits}, "names": classes}
    (output / "data.yaml").write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
    places = []
    for split in splits:
        names = flat_names([image.name for image in split.dataset.images])
        labels = output / "labels" / split.name
        labels.mkdir(parents=True)
        for image, name in zip(split.dataset.images, names, strict=True):
            (labels / name).with_suffix(".txt").write_text("".join(_lines(image)), encoding="utf-8")
        places.append([output / "images" / split.name / name for name in names])
    return places


def _lines(image: Image) -> list[str]:
    width, height = image.width_px, image.height_px
    return [
        f"{label} {(x1 + x2) / 2 / width:.9g} {(y1 + y2) / 2 / height:.9g} "
        f"{(x2 - x1) / width:.9g} {(y2 - y1) / height:.9g}\n"
        for (x1, y1, x2, y2), label, crowd in zip(
            corners_of(image), image.labels.tolist(), image.crowd.tolist(), strict=True
        )
        if not crowd
    ]
