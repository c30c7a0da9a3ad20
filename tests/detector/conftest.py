"""Small datasets on disk, valid as they stand, that a test can then spoil."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from detector.data_source import DataFormat, DataSource


def write_picture(path: Path, *, width_px: int = 60, height_px: int = 40, seed: int = 0) -> None:
    """A picture of random colours, so that no two seeds give the same file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(pixels).save(path)


def coco_document() -> dict[str, Any]:
    """Three images of 60 × 40 px; ids with gaps; one crowd; the last image has no object."""
    sizes = {"width": 60, "height": 40}
    return {
        "images": [
            {"id": 11, "file_name": "a.png", **sizes},
            {"id": 5, "file_name": "b.png", **sizes},
            {"id": 70, "file_name": "sub/c.png", **sizes},
        ],
        "categories": [{"id": 90, "name": "dog"}, {"id": 4, "name": "cat"}],
        "annotations": [
            {"id": 100, "image_id": 11, "category_id": 4, "bbox": [10, 5, 20, 30], "area": 450.5, "iscrowd": 0},
            {"id": 101, "image_id": 11, "category_id": 90, "bbox": [0, 0, 60, 40], "iscrowd": 1},
            {"id": 102, "image_id": 5, "category_id": 90, "bbox": [1.5, 2, 8, 4], "iscrowd": 0},
        ],
    }


@dataclass(slots=True)
class CocoFolder:
    """A COCO dataset; change `document`, then `write`."""

    root: Path
    document: dict[str, Any] = field(default_factory=coco_document)

    @property
    def source(self) -> DataSource:
        return DataSource(format=DataFormat.COCO, images=self.root / "images", annotations=self.root / "train.json")

    def write(self) -> DataSource:
        self.source.annotations.write_text(json.dumps(self.document), encoding="utf-8")
        return self.source


@pytest.fixture
def coco(tmp_path: Path) -> CocoFolder:
    folder = CocoFolder(tmp_path / "coco")
    for seed, image in enumerate(folder.document["images"]):
        write_picture(folder.root / "images" / image["file_name"], seed=seed)
    folder.write()
    return folder


def voc_xml(*objects: tuple[str, tuple[float, float, float, float]], width_px: int = 60, height_px: int = 40) -> str:
    """One annotation; an object is its class and xmin, ymin, xmax, ymax."""
    parts = [
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{b[0]}</xmin><ymin>{b[1]}</ymin>"
        f"<xmax>{b[2]}</xmax><ymax>{b[3]}</ymax></bndbox></object>"
        for name, b in objects
    ]
    size = f"<size><width>{width_px}</width><height>{height_px}</height><depth>3</depth></size>"
    return f"<annotation><filename>renamed.png</filename>{size}{''.join(parts)}</annotation>"


@dataclass(slots=True)
class VocFolder:
    """A Pascal VOC dataset with three images, of which train.txt lists two."""

    root: Path

    def source(self, split: str | None = None) -> DataSource:
        return DataSource(
            format=DataFormat.VOC,
            images=self.root / "JPEGImages",
            annotations=self.root / "Annotations",
            split=None if split is None else self.root / "ImageSets" / "Main" / f"{split}.txt",
        )

    def write(self, stem: str, xml: str) -> None:
        (self.root / "Annotations" / f"{stem}.xml").write_text(xml, encoding="utf-8")

    def list(self, split: str, *stems: str) -> None:
        (self.root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(stems) + "\n", encoding="utf-8")


@pytest.fixture
def voc(tmp_path: Path) -> VocFolder:
    folder = VocFolder(tmp_path / "voc")
    for part in ("Annotations", "ImageSets/Main"):
        (folder.root / part).mkdir(parents=True)
    for seed, stem in enumerate(("one", "two", "three")):
        write_picture(folder.root / "JPEGImages" / f"{stem}.png", seed=10 + seed)
    folder.write("one", voc_xml(("dog", (1, 1, 20, 10)), ("cat", (31, 21, 60, 40))))
    folder.write("two", voc_xml(("cat", (5, 6, 15, 26))))
    folder.write("three", voc_xml(("dog", (2, 3, 40, 39))))
    folder.list("train", "one", "two")
    folder.list("val", "three")
    return folder


@pytest.fixture
def picture() -> Callable[..., None]:
    """Writes a picture: path, width_px, height_px, seed."""
    return write_picture


@pytest.fixture
def xml() -> Callable[..., str]:
    """Builds one VOC annotation: objects, width_px, height_px."""
    return voc_xml


@pytest.fixture
def bccd() -> Path:
    """Real microscope images, where this checkout has them beside it."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "bccd"
    if not folder.is_dir():
        pytest.skip("the BCCD images are not part of the repository")
    return folder
