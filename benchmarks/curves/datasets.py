"""Three datasets of different character: cells under a microscope, many small objects, few large ones of rare kinds."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from benchmarks.parts.planted_data import BCCD
from detector.data.sample_data import write_sample

TILE_PX = 64
TILES = (640, 256)  # images to train and to validate, of which four become one
LARGE = (360, 144)
RARE = "triangle"
KEPT_OF_RARE = 12  # one image in so many of those with an object of the rare class


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedData:
    """A dataset that curves are recorded on."""

    canvas: str
    folder: Callable[[Path], Path]  # where it lies, made in a given folder if need be; the same every time


def _cells(folder: Path) -> Path:
    if not BCCD.is_dir():
        raise FileNotFoundError(f"BCCD is not at {BCCD}; name its folder in FRCNN_BCCD")
    return BCCD


def _small_and_dense(folder: Path) -> Path:
    """Images of 2 × 2 sample images, each with objects of 6 to 16 px."""
    tiles, own = folder / "tiles", folder / "dense"
    train, validation = TILES
    size_px, sizes_px = (TILE_PX, TILE_PX), (6.0, 16.0)
    write_sample(tiles, seed=1, train=train, validation=validation, size_px=size_px, sizes_px=sizes_px)
    for split in ("train", "val"):
        _write(own, split, _mosaic(tiles, own, split))
    return own


def _few_and_large(folder: Path) -> Path:
    """Images of the sample whose third class is rare."""
    whole = folder / "rare"
    train, validation = LARGE
    write_sample(whole, seed=2, train=train, validation=validation, sizes_px=(28.0, 60.0))
    for split in ("train", "val"):
        _write(whole, split, _without_most(json.loads((whole / f"{split}.json").read_text()), RARE))
    return whole


def _write(folder: Path, split: str, document: dict[str, Any]) -> None:
    (folder / f"{split}.json").write_text(json.dumps(document))


def _mosaic(tiles: Path, folder: Path, split: str) -> dict[str, Any]:
    """The same annotations on images of four tiles each, which are written."""
    document = json.loads((tiles / f"{split}.json").read_text())
    (folder / "images").mkdir(parents=True, exist_ok=True)
    place: dict[int, tuple[int, int, int]] = {}
    images = []
    for number, first in enumerate(range(0, len(document["images"]), 4)):
        picture = Pillow.new("RGB", (2 * TILE_PX, 2 * TILE_PX))
        for corner, tile in enumerate(document["images"][first : first + 4]):
            x, y = TILE_PX * (corner % 2), TILE_PX * (corner // 2)
            with Pillow.open(tiles / "images" / tile["file_name"]) as part:
                picture.paste(part, (x, y))
            place[tile["id"]] = number + 1, x, y
        name = f"{split}_{number:04d}.png"
        picture.save(folder / "images" / name)
        images.append({"id": number + 1, "file_name": name, "width": 2 * TILE_PX, "height": 2 * TILE_PX})
    for annotation in document["annotations"]:
        image, x, y = place[annotation["image_id"]]
        left, top, width, height = annotation["bbox"]
        annotation |= {"image_id": image, "bbox": [left + x, top + y, width, height]}
    return {**document, "images": images}


def _without_most(document: dict[str, Any], rare: str) -> dict[str, Any]:
    """Without most of the images that show an object of that class."""
    (number,) = (category["id"] for category in document["categories"] if category["name"] == rare)
    showing = sorted({one["image_id"] for one in document["annotations"] if one["category_id"] == number})
    gone = {image for place, image in enumerate(showing) if place % KEPT_OF_RARE}
    return {
        **document,
        "images": [image for image in document["images"] if image["id"] not in gone],
        "annotations": [one for one in document["annotations"] if one["image_id"] not in gone],
    }


DATASETS: Mapping[str, RecordedData] = {
    "cells": RecordedData(canvas="96x128", folder=_cells),
    "dense": RecordedData(canvas="96x96", folder=_small_and_dense),
    "rare": RecordedData(canvas="64x96", folder=_few_and_large),
}
